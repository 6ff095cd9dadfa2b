"""Goal: the POSIX conformance suite comes to the same verdicts in a guest as on the host's disk.

Method: tests/posix builds one static program; it runs on the host's file system and in the guest's
mount of the same, and tests/posix/compare knows which differences are accepted, and why.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import images
import settings
from case import SharedGuestCase, for_each_backend

SUITE_SOURCES = images.REPOSITORY / "tests" / "posix"
KNOWN = SUITE_SOURCES / "known-differences"
SUITE_TIMEOUT_S = 1500
# The longest cases make tens of thousands of names; each is a round trip to an NFS server.
CASE_LIMIT_S = 60


def suite_program() -> Path:
    """The suite, built if it has changed."""
    build = images.REPOSITORY / "build" / "posix"
    for command in (["cmake", "-S", SUITE_SOURCES, "-B", build], ["cmake", "--build", build]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"building the suite: {(done.stdout + done.stderr)[-3000:]}")
    return build / "posix_conformance"


class Posix(SharedGuestCase):
    """The whole suite, on the host's file system and in a guest."""

    def known_differences(self) -> list[Path]:
        if not self.backend.startswith("nfs"):
            return [KNOWN / "mirror.txt"]
        lists = [KNOWN / "nfs.txt", KNOWN / f"nfs-{settings.current.nfs_server}.txt"]
        return lists + ([KNOWN / "nfs4.1.txt"] if self.backend == "nfs4.1" else [])

    def test_same_verdicts_as_on_the_host(self) -> None:
        self.require_dpfs("fails some 30 cases of the suite")
        program = suite_program()
        self.guest.push(program, "/run/posix_conformance", 0o755)
        options = ["--limit", str(CASE_LIMIT_S)]
        options += ["--quick"] if settings.current.quick else []
        reference = self.new_folder("posix")
        results = images.LOGS / f"posix-{os.getpid()}-{self.backend}"
        on_host = subprocess.run([program, *options, reference], capture_output=True)
        host_results, guest_results = results.with_suffix(".host"), results.with_suffix(".guest")
        host_results.write_bytes(on_host.stdout)
        suite = ["/run/posix_conformance", *options, self.at]
        in_guest = self.guest.run(suite, SUITE_TIMEOUT_S)
        guest_results.write_bytes(in_guest.output)
        known = [word for path in self.known_differences() for word in ("--known", path)]
        compare = [SUITE_SOURCES / "compare", *known, host_results, guest_results]
        compared = subprocess.run(compare, capture_output=True, text=True)
        self.assertEqual(compared.returncode, 0, compared.stdout + compared.stderr)


for_each_backend(Posix)
del Posix  # only its variants are tests
