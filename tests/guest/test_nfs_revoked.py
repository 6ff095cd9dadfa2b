"""Goal: what the server's administrator takes away from a tenant is given up and acknowledged: files
go on, whoever held a lock is told, and the server has nothing left to complain about.

Method: the kernel's server is told to end all state on its file system, behind the daemon's back.
"""

from __future__ import annotations

import time
import unittest

import knfsd
import settings
from case import MOUNT
from nfs_case import RECOVERY_TIMEOUT_S, NfsCase, is_about_nfs

REVOKE = f"echo {knfsd.SERVED} > /proc/fs/nfsd/unlock_filesystem"


@is_about_nfs
@unittest.skipUnless(settings.current.nfs_server == "knfsd", "this server cannot revoke states")
class Revoked(NfsCase):
    """An administrator who ends all opens, locks and delegations."""

    def test_files_go_on_and_locks_are_reported_lost(self) -> None:
        guest = self.begin()
        guest.check(f"cd {MOUNT}; echo old > kept; echo old > locked; echo old > read; cat read")
        keeper = guest.start(f"exec 3>> {MOUNT}/kept; echo open; read go; echo new >&3")
        holder = guest.start(
            f"exec 3>> {MOUNT}/locked; flock 3; echo held; read go; echo new >&3"
        )
        keeper.wait_for_output(b"open")
        holder.wait_for_output(b"held")
        self.server.run(REVOKE)
        self.wait_for_log(guest, "were revoked")
        keeper.write(b"go\n")
        self.expect_success(keeper)
        holder.write(b"go\n")
        self.assertNotEqual(holder.wait(RECOVERY_TIMEOUT_S).code, 0, "its lock was lost")
        self.assertEqual(self.run_on_server("cat locked"), "old\n")
        self.assertEqual(guest.check(f"cd {MOUNT}; cat kept read"), "old\nnew\nold\n")
        guest.check(f"flock -n {MOUNT}/locked true")
        states = self.server.run("cat /proc/fs/nfsd/clients/*/states")
        self.assertNotIn("revoked", states)
        guest.stop()

    def wait_for_log(self, guest, words: str) -> None:
        """Until the daemon has said so; it hears of it by the next request, whatever that is."""
        deadline = time.monotonic() + RECOVERY_TIMEOUT_S
        while words not in self.daemon.log.read_text():
            self.assertLess(time.monotonic(), deadline, f"the daemon has not said: {words}")
            guest.check(f"stat {MOUNT}/read > /dev/null")
