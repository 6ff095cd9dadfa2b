"""Goal: users of a guest may do exactly what the host's file system lets the same users do.

Method: two folders are prepared in the same way, one of them served. programs/permission_probe
tries every operation as users with different ids and groups, on the host in the one and in a
guest in the other. Its outputs must be the same, line by line.
"""

from __future__ import annotations

import difflib
import os
import subprocess
from pathlib import Path

import programs
from case import SharedGuestCase, for_each_backend

# name: owner, group, mode, ACL. The users are those of permission_probe.cpp.
FILES = {
    "root_only": (0, 0, 0o600, ""),
    "readable": (0, 0, 0o644, ""),
    "own": (1001, 2001, 0o600, ""),
    "own_readonly": (1001, 2001, 0o444, ""),
    "own_nothing": (1001, 2001, 0o000, ""),
    "group_main": (0, 2001, 0o660, ""),
    "group_extra": (0, 2002, 0o060, ""),
    "owned_in_extra_group": (1002, 2002, 0o2770, ""),
    "others_only": (1003, 2003, 0o006, ""),
    "executable": (1001, 2001, 0o4755, ""),
    "acl_user": (0, 0, 0o600, "u:1001:rw-,m::rwx"),
    "acl_group": (0, 0, 0o600, "g:2002:rw-,m::rwx"),
    "acl_masked": (0, 0, 0o600, "u:1001:rwx,g:2002:rwx,m::r--"),
    "acl_denied": (0, 0, 0o666, "u:1001:---,g:2003:---"),
}
FOLDERS = {
    "open": (0, 0, 0o755, ""),
    "shared": (0, 0, 0o777, ""),
    "private": (1001, 2001, 0o700, ""),
    "group_main": (0, 2001, 0o770, ""),
    "group_extra": (0, 2002, 0o770, ""),
    "search_only": (0, 0, 0o711, ""),
    "list_only": (0, 0, 0o744, ""),
    "write_only": (0, 0, 0o733, ""),
    "sticky": (0, 0, 0o1777, ""),
    "sticky_own": (1001, 2001, 0o1777, ""),
    "set_gid": (0, 2002, 0o2777, ""),
    "acl_user": (0, 0, 0o700, "u:1001:rwx"),
    "acl_group": (0, 0, 0o700, "g:2002:rwx"),
    "acl_inherited": (0, 0, 0o777, "d:u::rwx,d:g::r-x,d:o::---,d:u:1003:rw-,d:m::rwx"),
}
SYSCTLS = ("protected_hardlinks", "protected_symlinks", "protected_fifos", "protected_regular")


def make(path: Path, owner: int, group: int, mode: int, acl: str) -> None:
    os.chown(path, owner, group)
    path.chmod(mode)  # after chown, which clears set-id bits
    if acl:
        subprocess.run(["setfacl", "-m", acl, path], check=True)


def prepare(root: Path) -> None:
    (root / "files").mkdir()
    (root / "folders").mkdir()
    for name, rights in FILES.items():
        path = root / "files" / name
        path.write_text("content\n")
        make(path, *rights)
    for name, rights in FOLDERS.items():
        path = root / "folders" / name
        path.mkdir()
        for inside, owner in (("victim", 1002), ("own_of_1001", 1001)):
            (path / inside).write_text("content\n")
            make(path / inside, owner, 2001, 0o644, "")
        make(path, *rights)


class Permissions(SharedGuestCase):
    """The same users, the same operations, the same answers."""

    guest_programs = ("permission_probe",)

    def test_as_the_host_file_system_decides(self) -> None:
        self.require_dpfs("creates files without the caller's supplementary groups")
        reference = self.new_folder("reference")
        prepare(reference)
        prepare(self.host)
        for name in SYSCTLS:  # the kernels' own rules for folders like /tmp must be the same
            value = Path(f"/proc/sys/fs/{name}").read_text().strip()
            self.guest.check(f"echo {value} > /proc/sys/fs/{name}")
        probe = programs.build("permission_probe")
        expected = subprocess.run([probe, reference], capture_output=True, text=True, check=True)
        seen = self.guest.check(f"/run/permission_probe {self.at}", 300)
        lines = difflib.unified_diff(
            expected.stdout.splitlines(), seen.splitlines(), "host", "guest", n=0, lineterm=""
        )
        wrong = [line for line in lines if not line.startswith("@@")]
        shown = "\n".join(wrong[:80])
        self.assertEqual(wrong, [], f"{len(wrong)} lines differ:\n{shown}")


for_each_backend(Permissions)
del Permissions  # only its variants are tests
