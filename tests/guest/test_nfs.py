"""Goal: what a tenant has written and locked outlives its server's crashes and its own idleness.

Method: a real server, which is killed and started again, stopped, or left alone behind the
daemon's back while the guest writes, reads and holds locks; every byte is compared with what the
server has.
"""

from __future__ import annotations

import daemon
from case import MOUNT
from nfs_case import LEASE_S, RECOVERY_TIMEOUT_S, NfsCase, is_about_nfs

CRASH_COUNT = 3
READ_ROUNDS_MIN = 2

# Reads the file again and again until told to end; says so after each round.
READER = f"""
while [ ! -e /tmp/enough ]; do
    echo 3 > /proc/sys/vm/drop_caches
    cmp /tmp/data {MOUNT}/read || exit 1
    echo round
done
"""


@is_about_nfs
class ServerCrashes(NfsCase):
    """A server that dies and comes back."""

    def test_loses_no_write(self) -> None:
        guest = self.begin()
        names = [f"copy{number}" for number in range(CRASH_COUNT)]
        for name in names:
            writer = guest.start(f"dd if=/tmp/data of={MOUNT}/{name} bs=64k conv=fsync")
            self.wait_until_grows(name)
            self.crash()
            self.expect_success(writer)
        self.expect_noise(guest, *names)
        guest.stop()

    def test_loses_no_write_that_was_not_synced(self) -> None:
        guest = self.begin()
        # Written, and answered, but not fsynced when the server dies; the sync comes after.
        guest.check(f"dd if=/tmp/data of={MOUNT}/late bs=64k 2>/dev/null; exec 3< {MOUNT}/late")
        writer = guest.start(
            f"exec 3<> {MOUNT}/early; dd if=/tmp/data bs=64k >&3 2>/dev/null; echo written;"
            f" read go; sync {MOUNT}/early {MOUNT}/late"
        )
        writer.wait_for_output(b"written", RECOVERY_TIMEOUT_S)
        self.crash()
        writer.write(b"go\n")
        self.expect_success(writer)
        self.expect_noise(guest, "early", "late")
        guest.stop()

    def test_readers_see_every_byte(self) -> None:
        guest = self.begin()
        guest.check(f"dd if=/tmp/data of={MOUNT}/read bs=1M conv=fsync", RECOVERY_TIMEOUT_S)
        reader = guest.start(READER)
        for _ in range(CRASH_COUNT):
            reader.read_line(RECOVERY_TIMEOUT_S)
            self.crash()
        reader.read_line(RECOVERY_TIMEOUT_S)
        guest.check("touch /tmp/enough")
        outcome = reader.wait(RECOVERY_TIMEOUT_S)
        self.assertEqual(outcome.code, 0, outcome.text)
        guest.stop()

    def test_lock_is_reclaimed_and_the_waiter_gets_it(self) -> None:
        guest = self.begin()
        holder = guest.start(f"flock {MOUNT}/locked sh -c 'echo held; cat'")
        holder.wait_for_output(b"held")
        waiter = guest.start(f"flock {MOUNT}/locked echo mine")
        self.crash()
        # The server knows the lock again: another owner does not get it, until it is let go.
        guest.check(f"! flock -n {MOUNT}/locked true", timeout=RECOVERY_TIMEOUT_S)
        self.assertIn("1 of 1 open files reclaimed", self.daemon.log.read_text())
        self.assertTrue(waiter.running)
        holder.end_input()
        self.assertEqual(holder.wait(RECOVERY_TIMEOUT_S).code, 0)
        self.assertEqual(waiter.wait(RECOVERY_TIMEOUT_S).text, "mine\n")
        guest.stop()


@is_about_nfs
class ServerIsAway(NfsCase):
    """A server that does not answer for long, or is not asked for long."""

    def test_idle_for_three_leases(self) -> None:
        guest = self.begin()
        guest.check(f"exec 3> {MOUNT}/kept; (sleep {3 * LEASE_S}; echo late >&3)", timeout=90)
        self.assertEqual(self.run_on_server("cat kept"), "late\n")
        self.assertNotIn("lost", self.daemon.log.read_text())
        guest.stop()

    def test_stopped_for_longer_than_the_lease(self) -> None:
        guest = self.begin()
        writer = guest.start(f"dd if=/tmp/data of={MOUNT}/copy bs=64k conv=fsync")
        self.wait_until_grows("copy")
        self.server.pause()
        guest.check(f"sleep {2 * LEASE_S}", timeout=90)
        self.server.resume()
        self.expect_success(writer)
        self.expect_noise(guest, "copy")
        guest.stop()

    def test_dead_for_longer_than_the_lease(self) -> None:
        guest = self.begin()
        writer = guest.start(f"dd if=/tmp/data of={MOUNT}/copy bs=64k conv=fsync")
        self.wait_until_grows("copy")
        self.server.kill()
        guest.check(f"sleep {2 * LEASE_S}", timeout=90)
        self.server.start()
        self.expect_success(writer)
        self.expect_noise(guest, "copy")
        guest.stop()

    def test_daemon_ends_in_time_while_the_server_is_away(self) -> None:
        guest = self.begin()
        guest.start(f"dd if=/dev/zero of={MOUNT}/copy bs=64k")
        self.wait_until_grows("copy")
        self.server.kill()
        guest.check("echo the guest itself goes on")
        daemon.Daemon.stop(self.daemon)  # fails unless it exits 0 within its bound
        guest.kill()
