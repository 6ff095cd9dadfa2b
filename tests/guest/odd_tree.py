"""A folder with everything a file system must carry, and the description of such a folder."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path

SPARSE_SIZE = 3 << 20

# Relative path -> all that must survive a copy, for comparison.
Description = dict[str, dict[str, object]]

# Names as bytes: a file name is any byte string without '/' and NUL.
ODD_NAMES = (
    b"a new\nline",
    b" leading and trailing ",
    b"-rf",
    b"quote'\"\\$`*?[",
    b"tab\tbell\a\x7f",
    b"not utf-8: \xff\xfe\x80",
    "ünï çødé 日本".encode(),
    b"x" * 255,
    ("é" * 127).encode() + b"y",  # 255 bytes, fewer characters
)


def make(root: Path) -> None:
    """Fills a folder. Needs root for device nodes and foreign owners."""
    top = os.fsencode(root)
    for index, name in enumerate(ODD_NAMES):
        _write(os.path.join(top, name), b"content %d\n" % index)
    _write(os.path.join(top, b"empty"), b"")
    _write(os.path.join(top, b"large"), bytes(range(256)) * 8192)
    _make_deep_folders(root)
    _make_links(root)
    _make_special_files(root)
    _make_owners_and_modes(root)
    _make_attributes(root)
    with (root / "sparse").open("wb") as file:
        file.truncate(SPARSE_SIZE)
        file.seek(SPARSE_SIZE // 2)
        file.write(b"an island")
    for path in sorted(root.rglob("*")):  # whole and fractional seconds, before and after 1970
        nanoseconds = 1_000_000_007 * (len(path.name) - 3) + 123_456_789
        os.utime(path, ns=(nanoseconds, nanoseconds), follow_symlinks=False)


def _write(path: bytes, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)


def _make_deep_folders(root: Path) -> None:
    deepest = root.joinpath(*[f"level{n}" for n in range(20)])
    deepest.mkdir(parents=True)
    (deepest / "bottom").write_text("bottom\n")
    many = root / "many"
    many.mkdir()
    for number in range(300):
        (many / f"entry_{number:03d}").write_text(f"{number}\n")


def _make_links(root: Path) -> None:
    links = root / "links"
    links.mkdir()
    (links / "one").write_text("hard\n")
    os.link(links / "one", links / "two")
    os.link(links / "one", root / "three")
    (links / "relative").symlink_to("../large")
    (links / "dangling").symlink_to("nowhere/at all")
    (links / "long").symlink_to("y" * 1000)
    os.symlink(b"bytes \xff\n", os.fsencode(links / "bytes"))


def _make_special_files(root: Path) -> None:
    special = root / "special"
    special.mkdir()
    os.mkfifo(special / "fifo", 0o640)
    os.mknod(special / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(special / "loop", stat.S_IFBLK | 0o660, os.makedev(7, 200))
    os.mknod(special / "big numbers", stat.S_IFCHR | 0o600, os.makedev(4000, 1_000_000))


def _make_owners_and_modes(root: Path) -> None:
    owned = root / "owned"
    owned.mkdir()
    for uid, gid, mode in ((1001, 2001, 0o640), (70000, 80000, 0o4755), (0, 2001, 0o2750)):
        path = owned / f"{uid}_{gid}_{mode:o}"
        path.write_text("owned\n")
        os.chown(path, uid, gid)
        path.chmod(mode)
    sticky = owned / "sticky"
    sticky.mkdir()
    sticky.chmod(0o3777)


def _make_attributes(root: Path) -> None:
    attributes = root / "attributes"
    attributes.mkdir()
    file = attributes / "file"
    file.write_text("attributes\n")
    os.setxattr(file, "user.binary", bytes(range(256)))
    os.setxattr(file, "user.empty", b"")
    os.setxattr(file, "user.long", b"z" * 2000)
    os.setxattr(attributes, "user.of_a_folder", b"yes")
    rules = "u:1001:r--,g:2002:rw-,m::rw-"
    subprocess.run(["setfacl", "-m", rules, file], check=True)
    subprocess.run(["setfacl", "-d", "-m", f"{rules},u::rwx,g::r-x,o::---", attributes], check=True)


def describe(root: Path) -> Description:
    top = os.fsencode(root)
    described: Description = {}
    first_names: dict[tuple[int, int], str] = {}
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = os.path.join(folder, name)
            shown = repr(os.path.relpath(path, top))
            described[shown] = _describe_entry(path, shown, first_names)
    return described


def _describe_entry(
    path: bytes, shown: str, first_names: dict[tuple[int, int], str]
) -> dict[str, object]:
    st = os.lstat(path)
    entry: dict[str, object] = {"mode": oct(st.st_mode), "owner": (st.st_uid, st.st_gid)}
    entry["mtime"] = st.st_mtime_ns
    entry["xattrs"] = {
        name: os.getxattr(path, name, follow_symlinks=False).hex()
        for name in sorted(os.listxattr(path, follow_symlinks=False))
    }
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as file:
            entry["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
        entry["size"] = st.st_size
        entry["sparse"] = st.st_blocks * 512 < st.st_size
        entry["links"] = st.st_nlink
        entry["same file as"] = first_names.setdefault((st.st_dev, st.st_ino), shown)
    elif stat.S_ISLNK(st.st_mode):
        entry["target"] = os.readlink(path)
    elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        entry["device"] = (os.major(st.st_rdev), os.minor(st.st_rdev))
    return entry


def differences(expected: Description, seen: Description) -> list[str]:
    """One line for each fact that differs."""
    lines = [f"missing: {path}" for path in expected if path not in seen]
    lines += [f"unexpected: {path}" for path in seen if path not in expected]
    for path, facts in expected.items():
        for fact, value in facts.items():
            if path in seen and seen[path].get(fact) != value:
                lines.append(f"{path} {fact}: {value!r}, but now {seen[path].get(fact)!r}")
    return lines
