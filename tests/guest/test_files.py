"""Goal: what programs do with files works in a guest as on the host's own file system.

Method: one guest with the full root for each back end. Single-file semantics are C++ programs
(programs/file_checks.cpp) run in the mount; work loads are real tools; results are compared with
what the host sees in the served directory.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import odd_tree
import settings
from case import SharedGuestCase, for_each_backend

FILE_CHECKS = (
    "append_never_overwrites",
    "direct_io_bypasses_and_agrees_with_the_cache",
    "file_beyond_four_gib",
    "private_mapping_stays_private",
    "removed_folder_lives_while_open",
    "rename_replaces_an_open_file",
    "set_id_bits_go_on_change",
    "shared_mapping_reaches_the_file",
    "unlinked_file_lives_while_open",
    "unnamed_file_can_get_a_name",
)
TAR = "tar --xattrs --xattrs-include='*' --acls --numeric-owner"
STAY_COUNT = 100_000
LIST_PASSES = 2
# Another user's part in changing a folder: files come and go until told to end.
CHURN = """
number=0
while [ ! -e enough ]; do
    touch host_churn_$number && rm host_churn_$number || exit 1
    number=$(((number + 1) % 50))
done
"""


class FileChecks(SharedGuestCase):
    """Single-file semantics, one program run for each; generated below."""

    guest_programs = ("file_checks",)


# What Debian's C virtiofsd is known not to do.
VIRTIOFSD_LACKS = {
    "set_id_bits_go_on_change": "keeps set-id bits when a file is opened with O_TRUNC",
    "unnamed_file_can_get_a_name": "has no O_TMPFILE",
}


# What NFS has no words for, or the server does not do (docs/back-ends/nfs.md).
NFS_LACKS = {
    "removed_folder_lives_while_open": "a removed directory's handle is stale at once",
    "rename_replaces_an_open_file": "there is no RENAME_EXCHANGE",
    "unnamed_file_can_get_a_name": "there is no O_TMPFILE",
}

# What 4.1 lacks besides.
NFS_4_1_LACKS = {"file_beyond_four_gib": "there is no SEEK: a file is all data"}


def _file_check(name: str) -> Callable[[FileChecks], None]:
    def test(self: FileChecks) -> None:
        if name in VIRTIOFSD_LACKS:
            self.require_dpfs(VIRTIOFSD_LACKS[name])
        if name in NFS_LACKS and self.backend.startswith("nfs"):
            self.skipTest(NFS_LACKS[name])
        if name in NFS_4_1_LACKS and self.backend == "nfs4.1":
            self.skipTest(NFS_4_1_LACKS[name])
        self.run_program(f"file_checks {name}", timeout=120)

    return test


for _name in FILE_CHECKS:
    setattr(FileChecks, f"test_{_name}", _file_check(_name))


class WorkLoads(SharedGuestCase):
    """Tools that people use: fio, git, make, tar; and a large folder that changes."""

    guest_programs = ("list_checker",)
    queues = 2
    threads = 2

    def test_fio_verifies_what_it_wrote(self) -> None:
        jobs = {
            "cached": "--rw=randrw --bs=4k --ioengine=psync",
            "direct": "--rw=randwrite --bs=16k --direct=1 --ioengine=libaio --iodepth=8",
            "mixed": "--rw=write --bsrange=512-256k --bs_unaligned=1 --ioengine=psync",
            "mapped": "--rw=randwrite --bs=4k --ioengine=mmap",
        }
        common = "--size=8m --verify=crc32c --verify_fatal=1 --do_verify=1 --fallocate=none"
        for name, options in jobs.items():
            self.guest.check(f"cd {self.at} && fio --name={name} {common} {options}", 180)

    def test_eight_writers_at_once(self) -> None:
        self.guest.check(
            f"cd {self.at} && fio --name=writer --numjobs=8 --size=4m --rw=write --bs=64k"
            " --ioengine=psync --end_fsync=1 --verify=md5 --do_verify=1 --verify_state_save=0",
            180,
        )
        self.assertEqual(set(self.run_beside("stat -c %s *").split()), {b"%d" % (4 << 20)})
        script = (
            "dd if=/dev/urandom of=/tmp/source bs=1M count=8 2>/dev/null; : > shared;"
            " for i in 0 1 2 3 4 5 6 7; do dd if=/tmp/source of=shared bs=64k count=16"
            " skip=$((i*16)) seek=$((i*16)) conv=notrunc 2>/dev/null & done; wait;"
            " cmp /tmp/source shared && sha256sum < /tmp/source"
        )
        digest = self.guest.check(f"cd {self.at} && {script}", 120).split()[0]
        self.assertEqual(self.run_beside("sha256sum < shared").split()[0].decode(), digest)

    def test_git_clone_and_build(self) -> None:
        project = self.new_folder("project")
        sources = make_project(project / "origin")
        packed = subprocess.run(["tar", "-C", project, "-c", "."], capture_output=True, check=True)
        self.run_beside("tar -xf -", packed.stdout)
        self.guest.check(
            f"cd {self.at} && git clone -q origin work && cd work && make -s -j2 && ./program"
            " > output && git status --porcelain > status && git fsck",
            300,
        )
        expected = b"%d\n" % sum(range(sources))
        self.assertEqual(self.run_beside("cat work/output"), expected)
        status = self.run_beside("cat work/status").split()
        self.assertNotIn(b"M", status, "git sees files as changed that are not")
        program = project / "program"
        program.write_bytes(self.run_beside("cat work/program"))
        program.chmod(0o755)
        run = subprocess.run([program], capture_output=True)
        self.assertEqual(run.stdout, expected, "built in guest, run on the host")

    def test_tar_extracts_everything(self) -> None:
        original = self.make_odd_tree(self.new_folder("odd-tree"))
        packed = subprocess.run(
            f"{TAR} --sparse --format=posix -C {original} -c .", shell=True, capture_output=True
        )
        self.run_beside("cat > tree.tar", packed.stdout)
        self.guest.check(f"cd {self.at} && mkdir tree && {TAR} -C tree -xpf tree.tar", 180)
        # Where the host cannot look, it gets what the guest reads.
        host_looks = self.daemon.serves_host_files
        seen = self.host / "tree" if host_looks else self.unpacked_from_guest()
        self.expect_same(odd_tree.describe(original), odd_tree.describe(seen))

    def test_tar_reads_everything(self) -> None:
        self.require_host_files()
        tree = self.host / "tree"
        tree.mkdir()
        self.make_odd_tree(tree)
        expected = odd_tree.describe(tree)
        self.expect_same(expected, odd_tree.describe(self.unpacked_from_guest()))

    def make_odd_tree(self, folder: Path) -> Path:
        odd_tree.make(folder)
        if self.is_on("knfsd"):
            (folder / "special" / "big numbers").unlink()  # xfs has not so many: EINVAL
        return folder

    def unpacked_from_guest(self) -> Path:
        """What tar in the guest makes of the folder `tree`."""
        pack = f"{TAR} --sparse --format=posix -C {self.at}/tree -c ."
        packed = self.guest.run(f"{pack} 2> /tmp/complaints", 180)
        complaints = self.guest.check("cat /tmp/complaints")
        self.assertEqual((packed.code, complaints), (0, ""))
        copy = self.new_folder("odd-tree")
        subprocess.run(f"{TAR} -C {copy} -xpf -", shell=True, input=packed.output, check=True)
        return copy

    def expect_same(self, expected: odd_tree.Description, seen: odd_tree.Description) -> None:
        if self.backend.startswith("nfs"):
            self.forget_what_nfs_lacks(expected)
            self.forget_what_nfs_lacks(seen)
        problems = odd_tree.differences(expected, seen)
        self.assertEqual(problems, [], "\n".join(problems[:40]))

    def forget_what_nfs_lacks(self, description: odd_tree.Description) -> None:
        """As docs/back-ends/nfs.md has it: ACLs, and what the version or the server has not."""
        has_xattrs = self.backend != "nfs4.1" and not self.is_on("ganesha")
        for facts in description.values():
            facts["xattrs"] = {
                name: value
                for name, value in facts["xattrs"].items()
                if has_xattrs and name.startswith("user.")
            }
            if self.is_on("ganesha-sid"):
                facts["xattrs"].pop("user.empty", None)  # it makes one byte of none
            if "target" in facts and (self.is_on("ganesha") or self.is_on("ganesha-sid")):
                del facts["mtime"]  # SETATTR of a symbolic link's times sets nothing

    def is_on(self, server: str) -> bool:
        return self.backend.startswith("nfs") and settings.current.nfs_server == server

    def test_large_folder_is_listed_whole_while_it_changes(self) -> None:
        self.run_beside(
            f"awk 'BEGIN {{ for (i = 0; i < {STAY_COUNT}; i++) printf \"stay_%06d\\n\", i }}'"
            " | xargs touch"
        )
        command = self.guest.start(f"/run/list_checker {self.at} {STAY_COUNT} {LIST_PASSES}")
        self.run_beside(f"({CHURN}) > /dev/null 2>&1 &")
        try:
            outcome = command.wait(400)
        finally:
            self.run_beside("touch enough")
        self.assertEqual(outcome.code, 0, outcome.text)


def make_project(folder: Path, sources: int = 20) -> int:
    """A git repository with a small C program that adds up one number from each file."""
    folder.mkdir()
    calls = " + ".join(f"part_{n}()" for n in range(sources))
    (folder / "parts.h").write_text("".join(f"int part_{n}(void);\n" for n in range(sources)))
    (folder / "main.c").write_text(
        '#include <stdio.h>\n#include "parts.h"\n'
        f'int main(void) {{ printf("%d\\n", {calls}); return 0; }}\n'
    )
    for number in range(sources):
        text = f'#include "parts.h"\nint part_{number}(void) {{ return {number}; }}\n'
        (folder / f"part_{number}.c").write_text(text)
    (folder / "Makefile").write_text(
        "OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))\n"
        "program: $(OBJECTS)\n\t$(CC) -o $@ $^\n%.o: %.c parts.h\n\t$(CC) -c -o $@ $<\n"
    )
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost", "-C", str(folder)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "parts"]):
        subprocess.run([*git, *command], check=True)
    return sources


for_each_backend(FileChecks)
for_each_backend(WorkLoads)
del FileChecks, WorkLoads  # only their variants are tests
