"""Goal: what a guest does, or that it dies, costs the daemon nothing and the next guest neither.

Method: guests are killed in the middle of I/O and replaced. What the daemon holds is measured
each time in the same state: a new guest has mounted and done nothing. That no earlier guest is
left over needs no waiting then, since the daemon answers the new one.
"""

from __future__ import annotations


import programs
import settings
import vm
from case import MOUNT, GuestCase, for_each_backend
from test_locks import HostLocker

RESIDENT_GROWTH_KIB_MAX = 4096

# Many kinds of requests at once; says so after each round. None of it ever ends by itself.
BUSY = f"""
cd {MOUNT} && mkdir -p busy && cd busy || exit 1
dd if=/dev/zero of=source bs=64k count=64 2> /dev/null
(while :; do cp source copy; done) &
(while :; do cat source > /dev/null; echo 3 > /proc/sys/vm/drop_caches; done) &
(while :; do mkdir -p a/b/c; touch a/b/c/file; ls -lR . > /dev/null; rm -rf a; done) &
exec 9< source
round=0
while :; do
    for i in 0 1 2 3 4 5 6 7 8 9; do echo $i > file$i; sync file$i; done
    rm -f file?; echo round $round; round=$((round + 1))
done
"""


class Robustness(GuestCase):
    """Guests that end badly, restart, or come back."""

    def booted(self, server, **options) -> vm.Guest:
        guest = self.boot(devices=[server.device()], **options)
        guest.mount(server.tag, MOUNT)
        return guest

    def busy(self, guest: vm.Guest) -> None:
        guest.start(BUSY).wait_for_output(b"round 3\n")

    def test_killed_guests_leave_nothing(self) -> None:
        self.require_dpfs("ends with its guest")
        server = self.serve(self.new_folder("killed"), threads=2)
        footprints = []
        for _ in range(settings.current.crashes + 1):
            guest = self.booted(server)
            footprints.append(server.footprint())
            self.busy(guest)
            guest.kill()
        last = self.booted(server)
        footprints.append(server.footprint())
        last.check(f"echo alive > {MOUNT}/alive")
        last.stop()
        history = "\n".join(map(str, footprints))
        first, end = footprints[0], footprints[-1]
        self.assertEqual(end.threads, first.threads, history)
        self.assertEqual(end.descriptors, first.descriptors, history)
        # The first guest's work fills pools that stay; what comes after that must not add up.
        growth = end.resident_kib - footprints[1].resident_kib
        self.assertLess(growth, RESIDENT_GROWTH_KIB_MAX, history)

    def test_killed_guest_loses_its_locks(self) -> None:
        self.require_dpfs("refuses to wait for locks")
        for kind in ("flock", "posix"):
            directory = self.new_folder("locks")
            server = self.serve(directory, tag=kind)
            guest = self.booted(server)
            guest.push(programs.build("lock_tool"), "/run/lock_tool", 0o755)
            holder = guest.start(f"/run/lock_tool {kind} exclusive {MOUNT}/file")
            holder.write(b"try\n")
            holder.wait_for_output(b"locked\n")
            waiter = HostLocker(directory / "file", f"{kind} exclusive")
            self.addCleanup(waiter.kill)
            waiter.tell("try")
            waiter.tell("wait")
            self.assertEqual([waiter.answer() for _ in range(3)], ["ready", "busy", "waiting"])
            guest.kill()
            self.assertEqual(waiter.answer(), "locked")

    def test_daemon_stops_while_a_guest_is_busy(self) -> None:
        self.require_dpfs("does not answer SIGTERM while it serves")
        server = self.serve(self.new_folder("stopped"))
        guest = self.booted(server)
        self.busy(guest)
        server.stop()  # fails unless it exits 0 in time
        guest.kill()

    def test_mounts_again_after_unmount(self) -> None:
        server = self.serve(self.new_folder("again"))
        guest = self.booted(server)
        for number in range(3):
            guest.check(f"echo {number} > {MOUNT}/file && umount {MOUNT}")
            guest.mount(server.tag, MOUNT)
            self.assertEqual(guest.check(f"cat {MOUNT}/file"), f"{number}\n")
        guest.stop()

    def test_guest_restarts_under_the_same_qemu(self) -> None:
        server = self.serve(self.new_folder("restart"))
        guest = self.booted(server, may_reboot=True)
        for number in range(2):
            guest.check(f"echo {number} > {MOUNT}/file && sync")
            self.busy(guest)
            guest.reboot()
            guest.mount(server.tag, MOUNT)
            self.assertEqual(guest.check(f"cat {MOUNT}/file"), f"{number}\n")
        guest.stop()

    def test_guests_one_after_the_other(self) -> None:
        self.require_dpfs("ends with its guest")
        server = self.serve(self.new_folder("after"))
        for number in range(3):
            guest = self.booted(server)
            guest.check(f"echo {number} >> {MOUNT}/file")
            guest.stop()
        last = self.booted(server)
        self.assertEqual(last.check(f"cat {MOUNT}/file"), "0\n1\n2\n")
        last.stop()


for_each_backend(Robustness)
del Robustness  # only its variants are tests
