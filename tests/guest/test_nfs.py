"""Goal: what a tenant has written and locked outlives its server's crashes and its own idleness.

Method: a real server, which is killed and started again behind the daemon's back while the guest
writes, reads and holds locks; every byte is compared with what lies in the exported directory.
"""

from __future__ import annotations

import time
import unittest
from pathlib import Path

import daemon
import ganesha
import settings
import vm
from case import MOUNT, GuestCase, sha256_of

LEASE_S = 10
CRASH_COUNT = 3


@unittest.skipUnless(
    any(backend.startswith("nfs") for backend in settings.current.backends),
    "is about the back end nfs, which this run is not",
)
class ServerFaults(GuestCase):
    """A server that dies, comes back, or is not asked for long."""

    backend = "nfs"

    def start(self) -> tuple[Path, daemon.DpfsOnNfs, vm.Guest]:
        directory = self.new_folder("nfs")
        server = self.serve(directory, threads=2)
        guest = self.boot(devices=[server.device()], root="full")
        guest.mount()
        return directory, server, guest

    def crash(self, server: ganesha.Ganesha) -> None:
        server.kill()
        server.start()

    def test_killed_server_loses_no_write(self) -> None:
        directory, server, guest = self.start()
        guest.check("dd if=/dev/urandom of=/tmp/data bs=1M count=32 2>/dev/null")
        for round_number in range(CRASH_COUNT):
            name = f"copy{round_number}"
            writer = guest.start(f"dd if=/tmp/data of={MOUNT}/{name} bs=64k conv=fsync")
            self.wait_until_grows(directory / name)
            self.crash(server.server)
            self.assertEqual(writer.wait(120).code, 0)
            guest.check(f"echo 3 > /proc/sys/vm/drop_caches; cmp /tmp/data {MOUNT}/{name}")
            written = guest.check("sha256sum < /tmp/data").split()[0]
            self.assertEqual(sha256_of(directory / name), written)
        guest.stop()

    def wait_until_grows(self, path: Path) -> None:
        deadline = time.monotonic() + 60
        while not path.exists() or path.stat().st_size < 1 << 20:
            self.assertLess(time.monotonic(), deadline, f"{path} does not grow")
            time.sleep(0.005)

    def test_lock_is_reclaimed_after_a_crash(self) -> None:
        _, server, guest = self.start()
        holder = guest.start(f"flock {MOUNT}/locked sh -c 'echo held; cat'")
        holder.wait_for_output(b"held")
        self.crash(server.server)
        # The server knows the lock again: another owner does not get it, until it is let go.
        guest.check(f"! flock -n {MOUNT}/locked true", timeout=60)
        self.assertIn("1 of 1 open files reclaimed", server.log.read_text())
        waiter = guest.start(f"flock {MOUNT}/locked echo mine")
        holder.end_input()
        self.assertEqual(holder.wait().code, 0)
        self.assertEqual(waiter.wait().code, 0)
        guest.stop()

    def test_idle_for_three_leases(self) -> None:
        directory, server, guest = self.start()
        guest.check(f"exec 3> {MOUNT}/kept; (sleep {3 * LEASE_S}; echo late >&3)", timeout=90)
        self.assertEqual((directory / "kept").read_text(), "late\n")
        self.assertNotIn("lost", server.log.read_text())
        guest.stop()

