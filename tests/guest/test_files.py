"""Goal: what programs do with files works in a guest as on the host's own file system.

Method: one guest with the full root for each back end. Single-file semantics are C++ programs
(programs/file_checks.cpp) run in the mount; work loads are real tools; results are compared with
what the host sees in the served directory.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import odd_tree
from case import SharedGuestCase, for_each_backend, sha256_of

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
        self.require_host_files()
        self.guest.check(
            f"cd {self.at} && fio --name=writer --numjobs=8 --size=4m --rw=write --bs=64k"
            " --ioengine=psync --end_fsync=1 --verify=md5 --do_verify=1 --verify_state_save=0",
            180,
        )
        self.assertEqual({f.stat().st_size for f in self.host.iterdir()}, {4 << 20})
        script = (
            "dd if=/dev/urandom of=/tmp/source bs=1M count=8 2>/dev/null; : > shared;"
            " for i in 0 1 2 3 4 5 6 7; do dd if=/tmp/source of=shared bs=64k count=16"
            " skip=$((i*16)) seek=$((i*16)) conv=notrunc 2>/dev/null & done; wait;"
            " cmp /tmp/source shared && sha256sum < /tmp/source"
        )
        digest = self.guest.check(f"cd {self.at} && {script}", 120).split()[0]
        self.assertEqual(sha256_of(self.host / "shared"), digest)

    def test_git_clone_and_build(self) -> None:
        self.require_host_files()
        sources = make_project(self.host / "origin")
        self.guest.check(
            f"cd {self.at} && git clone -q origin work && cd work && make -s -j2 && ./program"
            " > output && git status --porcelain > status && git fsck",
            300,
        )
        work = self.host / "work"
        self.assertEqual((work / "output").read_text(), f"{sum(range(sources))}\n")
        status = (work / "status").read_text().split()
        self.assertNotIn("M", status, "git sees files as changed that are not")
        run = subprocess.run([work / "program"], capture_output=True, text=True)
        self.assertEqual(run.stdout, f"{sum(range(sources))}\n", "built in guest, run on the host")

    def test_tar_extracts_everything(self) -> None:
        self.require_host_files()
        original = self.new_folder("odd-tree")
        odd_tree.make(original)
        archive = self.host / "tree.tar"
        subprocess.run(
            f"{TAR} --sparse --format=posix -C {original} -cf {archive} .", shell=True, check=True
        )
        self.guest.check(f"cd {self.at} && mkdir tree && {TAR} -C tree -xpf tree.tar", 180)
        expected = odd_tree.describe(original)
        problems = odd_tree.differences(expected, odd_tree.describe(self.host / "tree"))
        self.assertEqual(problems, [], "\n".join(problems[:40]))

    def test_tar_reads_everything(self) -> None:
        self.require_host_files()
        tree = self.host / "tree"
        tree.mkdir()
        odd_tree.make(tree)
        packed = self.guest.run(f"{TAR} --sparse --format=posix -C {self.at}/tree -c .", 180)
        self.assertEqual(packed.code, 0, packed.text[-2000:])
        copy = self.new_folder("odd-tree")
        subprocess.run(f"{TAR} -C {copy} -xpf -", shell=True, input=packed.output, check=True)
        problems = odd_tree.differences(odd_tree.describe(tree), odd_tree.describe(copy))
        self.assertEqual(problems, [], "\n".join(problems[:40]))

    def test_large_folder_is_listed_whole_while_it_changes(self) -> None:
        self.require_host_files()
        for number in range(STAY_COUNT):
            os.close(os.open(self.host / f"stay_{number:06d}", os.O_CREAT | os.O_WRONLY, 0o644))
        command = self.guest.start(f"/run/list_checker {self.at} {STAY_COUNT} {LIST_PASSES}")
        stop = threading.Event()
        changer = threading.Thread(target=churn, args=(self.host, stop))
        changer.start()
        try:
            outcome = command.wait(400)
        finally:
            stop.set()
            changer.join()
        self.assertEqual(outcome.code, 0, outcome.text)


def churn(folder: Path, stop: threading.Event) -> None:
    """The host's part in changing a folder: files come and go until `stop`."""
    number = 0
    while not stop.is_set():
        path = folder / f"host_churn_{number % 50}"
        path.touch()
        path.unlink()
        number += 1


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
