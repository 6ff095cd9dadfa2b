"""Goal: a lock that one process holds is a lock for every other, wherever that process runs.

Method: programs/lock_tool holds locks and is told what to do line by line. Two of it run in one
guest, in two guests on the same directory (behind two daemons, or behind one), or in a guest and
on the host.
"""

from __future__ import annotations

import select
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

import daemon
import programs
import settings
import vm
from case import MOUNT, SharedGuestCase, for_each_backend, make_daemon, remove_folder

ANSWER_TIMEOUT_S = 30
KINDS = ("flock", "posix", "ofd")
PLACES = ("one_guest", "two_guests", "guest_and_host", "one_daemon")


class GuestLocker:
    """A lock_tool in a guest."""

    def __init__(self, guest: vm.Guest, path: str, arguments: str) -> None:
        kind, mode, *area = arguments.split()
        self.command = guest.start(["/run/lock_tool", kind, mode, path, *area])

    def tell(self, word: str) -> None:
        self.command.write(word.encode() + b"\n")

    def answer(self) -> str:
        return self.command.read_line(ANSWER_TIMEOUT_S)

    def kill(self) -> None:
        self.command.kill()


class HostLocker:
    """A lock_tool on the host."""

    def __init__(self, path: Path, arguments: str) -> None:
        kind, mode, *area = arguments.split()
        self.process = subprocess.Popen(
            [programs.build("lock_tool"), kind, mode, path, *area],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what Python has read ahead, select() in answer() does not see
        )

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """The tool writes a line at a time, so a line is there as soon as anything is."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_TIMEOUT_S)
        if not ready:
            raise AssertionError(f"no answer from the host's lock_tool in {ANSWER_TIMEOUT_S} s")
        return self.process.stdout.readline().decode().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class LockCase(SharedGuestCase):
    """Two guests on one directory, and the checks of one kind of lock between two places."""

    root = "small"
    guest_programs = ("lock_tool",)

    other_daemon: daemon.Daemon | None = None
    other_guest: vm.Guest

    @classmethod
    def start_other_device(cls) -> vm.FsDevice:
        """The second guest's way to the same directory."""
        folder = Path(tempfile.mkdtemp(prefix="dpfs-sock-"))
        cls.addClassCleanup(remove_folder, folder)
        cls.other_daemon = make_daemon(cls.backend, cls.directory, folder, tag="other")
        return cls.other_daemon.start().device()

    @classmethod
    def _start(cls) -> None:
        super()._start()
        try:
            devices = [cls.start_other_device()]
            cls.other_guest = vm.Guest(vm.GuestOptions(devices, name=f"{cls.__name__}-other"))
            cls.other_guest.boot()
            cls.other_guest.mount("other", MOUNT)
            cls.other_guest.push(programs.build("lock_tool"), "/run/lock_tool", 0o755)
        except BaseException:
            cls._kill()
            raise

    @classmethod
    def _end(cls) -> None:
        try:
            cls.other_guest.stop()
        finally:
            super()._end()
        if cls.other_daemon is not None:
            cls.other_daemon.stop()

    @classmethod
    def _kill(cls) -> None:
        super()._kill()
        if hasattr(cls, "other_guest"):
            cls.other_guest.kill()
        if cls.other_daemon is not None:
            cls.other_daemon.kill()

    def pair(
        self, place: str, first: str, second: str
    ) -> tuple[GuestLocker, GuestLocker | HostLocker]:
        """Two lockers of one file, not holding anything yet."""
        (self.host / "file").touch()
        path = f"{self.at}/file"
        left = self.started(GuestLocker(self.guest, path, first))
        if place == "guest_and_host":
            return left, self.started(HostLocker(self.host / "file", second))
        guest = self.guest if place == "one_guest" else self.other_guest
        return left, self.started(GuestLocker(guest, path, second))

    def started(self, locker):
        self.addCleanup(locker.kill)
        self.assertEqual(locker.answer(), "ready")
        return locker

    def expect(self, locker: GuestLocker | HostLocker, word: str, *answers: str) -> None:
        locker.tell(word)
        for answer in answers:
            self.assertEqual(locker.answer(), answer)

    def check_exclusive(self, kind: str, place: str) -> None:
        left, right = self.pair(place, f"{kind} exclusive", f"{kind} exclusive")
        self.expect(left, "try", "locked")
        self.expect(right, "try", "busy")
        self.expect(left, "unlock", "unlocked")
        self.expect(right, "try", "locked")
        self.expect(left, "try", "busy")

    def check_shared(self, kind: str, place: str) -> None:
        left, right = self.pair(place, f"{kind} shared", f"{kind} shared")
        self.expect(left, "try", "locked")
        self.expect(right, "try", "locked")
        _, writer = self.pair(place, f"{kind} shared", f"{kind} exclusive")
        self.expect(writer, "try", "busy")
        self.expect(left, "unlock", "unlocked")
        self.expect(right, "unlock", "unlocked")
        self.expect(writer, "try", "locked")

    def check_ranges(self, kind: str, place: str) -> None:
        left, right = self.pair(place, f"{kind} exclusive 0 100", f"{kind} exclusive 100 100")
        self.expect(left, "try", "locked")
        self.expect(right, "try", "locked")
        _, across = self.pair(place, f"{kind} shared 0 1", f"{kind} exclusive 50 100")
        self.expect(across, "try", "busy")
        self.expect(right, "unlock", "unlocked")
        self.expect(across, "try", "busy")
        self.expect(left, "unlock", "unlocked")
        self.expect(across, "try", "locked")

    def check_waiting(self, kind: str, place: str) -> None:
        """Who waits gets the lock once it is free; until then, others are served."""
        self.require_dpfs("refuses to wait for locks")
        left, right = self.pair(place, f"{kind} exclusive", f"{kind} exclusive")
        bystander, _ = self.pair(place, f"{kind} shared", f"{kind} shared")
        self.expect(right, "try", "locked")
        self.expect(left, "wait", "waiting")
        self.expect(bystander, "touch", "touched")
        self.expect(right, "unlock", "unlocked")
        self.assertEqual(left.answer(), "locked")
        self.expect(right, "try", "busy")

    def check_death(self, kind: str, place: str) -> None:
        """The end of a process is the end of its locks."""
        self.require_dpfs("refuses to wait for locks")
        left, right = self.pair(place, f"{kind} exclusive", f"{kind} exclusive")
        self.expect(left, "try", "locked")
        self.expect(right, "wait", "waiting")
        left.kill()
        self.assertEqual(right.answer(), "locked")


class LockChecks(LockCase):
    """Every kind of lock between every pair of places; a daemon for each guest."""


class OneDaemonLockChecks(LockCase):
    """The same between guests behind one process, each with a device of its own."""

    @classmethod
    def setUpClass(cls) -> None:
        if cls.backend == "virtiofsd":
            raise unittest.SkipTest("the C virtiofsd serves one device")
        super().setUpClass()

    @classmethod
    def make_daemon(cls) -> daemon.Daemon:
        current = settings.current
        return daemon.DpfsWithTwoDevices(
            current.dpfs, cls.backend, cls.directory, cls._sockets, current.serve_options
        )

    @classmethod
    def start_other_device(cls) -> vm.FsDevice:
        assert isinstance(cls.daemon, daemon.DpfsWithTwoDevices)
        return cls.daemon.other_device


def _lock_test(check: str, kind: str, place: str) -> Callable[[LockCase], None]:
    return lambda self: getattr(self, f"check_{check}")(kind, place)


for _check in ("exclusive", "shared", "ranges", "waiting", "death"):
    for _kind in KINDS:
        if _check == "ranges" and _kind == "flock":
            continue  # flock locks whole files
        for _place in PLACES:
            _test = _lock_test(_check, _kind, _place)
            _class = OneDaemonLockChecks if _place == "one_daemon" else LockChecks
            setattr(_class, f"test_{_kind}_{_check}_{_place}", _test)

for_each_backend(OneDaemonLockChecks)
for_each_backend(LockChecks)
del LockCase, LockChecks, OneDaemonLockChecks, _class  # only their variants are tests
