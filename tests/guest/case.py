"""What guest tests have in common: a daemon, a guest that mounted it, a fresh folder per test."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import daemon
import images
import programs
import settings
import vm

MOUNT = "/mnt/fs"


def for_each_backend(case: type[GuestCase]) -> None:
    """Class decorator: replaces a test class by one for each back end of this run."""
    module = sys.modules[case.__module__]
    for backend in settings.current.backends:
        name = f"{case.__name__}_{backend}"
        members = {"backend": backend, "__module__": case.__module__, "__doc__": case.__doc__}
        setattr(module, name, type(name, (case,), members))


def new_folder(prefix: str) -> Path:
    """A folder on a disk file system: /tmp may be one in memory, without extended attributes."""
    parent = images.IMAGES / "scratch"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=parent))
    folder.chmod(0o755)
    return folder


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def make_daemon(
    backend: str, directory: Path, sockets: Path, **options
) -> daemon.Dpfs | daemon.Virtiofsd:
    """A daemon as this run wants it; not started yet."""
    current = settings.current
    words = current.serve_options
    return daemon.serve(backend, directory, sockets, current.dpfs, options=words, **options)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class GuestCase(unittest.TestCase):
    """Base of all guest tests: folders, daemons and guests that end with their test."""

    backend = ""
    maxDiff = 4000

    def new_folder(self, name: str) -> Path:
        folder = new_folder(name)
        self.addCleanup(remove_folder, folder)
        return folder

    def new_socket_folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="dpfs-sock-"))
        self.addCleanup(remove_folder, folder)
        return folder

    def serve(self, directory: Path, **options) -> daemon.Dpfs | daemon.Virtiofsd:
        server = make_daemon(self.backend, directory, self.new_socket_folder(), **options)
        server.start()
        self.addCleanup(server.stop)
        return server

    def boot(self, **options) -> vm.Guest:
        guest = vm.Guest(vm.GuestOptions(name=self._testMethodName, **options))
        guest.boot()
        self.addCleanup(guest.kill)  # harmless after the stop() of a test that got that far
        return guest

    def require_dpfs(self, why: str) -> None:
        if self.backend == "virtiofsd":
            self.skipTest(f"the C virtiofsd {why}")


class SharedGuestCase(GuestCase):
    """One daemon and one mounted guest for all tests of a class.

    Each test works in a folder of its own: `self.host` on the host, `self.at` in the guest. If
    a test left a guest or daemon that does not answer, the next test gets new ones.
    """

    kernel = "6.12"
    root = "full"
    cpus = 2
    memory_mib = 768
    queues = 1
    threads = 1
    guest_programs: tuple[str, ...] = ()

    directory: Path
    daemon: daemon.Daemon
    guest: vm.Guest

    @classmethod
    def setUpClass(cls) -> None:
        if cls.backend == "virtiofsd":
            cls.queues = 1
        cls.directory = cls.make_directory()
        cls._sockets = Path(tempfile.mkdtemp(prefix="dpfs-sock-"))
        cls.addClassCleanup(remove_folder, cls._sockets)
        cls._start()
        cls.addClassCleanup(cls._end)

    @classmethod
    def make_directory(cls) -> Path:
        folder = new_folder(cls.__name__)
        cls.addClassCleanup(remove_folder, folder)
        return folder

    @classmethod
    def _start(cls) -> None:
        cls.daemon = cls.make_daemon()
        cls.daemon.start()
        try:
            cls.guest = vm.Guest(
                vm.GuestOptions(
                    devices=[cls.daemon.device(queues=cls.queues)],
                    kernel=cls.kernel,
                    root=cls.root,
                    cpus=cls.cpus,
                    memory_mib=cls.memory_mib,
                    name=cls.__name__,
                )
            )
            cls.guest.boot()
            cls.guest.mount(cls.daemon.tag, MOUNT)
            for name in cls.guest_programs:
                cls.guest.push(programs.build(name), f"/run/{name}", 0o755)
        except BaseException:
            cls._kill()
            raise

    @classmethod
    def make_daemon(cls) -> daemon.Daemon:
        return make_daemon(
            cls.backend, cls.directory, cls._sockets, queues=cls.queues, threads=cls.threads
        )

    @classmethod
    def _end(cls) -> None:
        try:
            cls.guest.stop()
        except BaseException:
            cls._kill()
            raise
        cls.daemon.stop()

    @classmethod
    def _kill(cls) -> None:
        cls.guest.kill()
        cls.daemon.kill()

    @classmethod
    def _answers(cls) -> bool:
        try:
            return cls.guest.run(f"stat {MOUNT} > /dev/null", timeout=10).code == 0
        except vm.GuestError:
            return False

    def setUp(self) -> None:
        if not self._answers():
            self._kill()
            self._start()
        self.host = self.directory / self._testMethodName
        self.at = f"{MOUNT}/{self._testMethodName}"
        if self.daemon.serves_host_files:
            self.host.mkdir(mode=0o755)
        else:
            self.guest.check(f"mkdir -m 755 {self.at}")

    def require_host_files(self) -> None:
        if not self.daemon.serves_host_files:
            self.skipTest("compares with the host's files, and this server has its own disk")

    def run_beside(self, command: str, stdin: bytes = b"") -> bytes:
        """Another user of the served files: a shell command in this test's folder, on the host
        or on the server that has the disk. It must succeed; its output."""
        if not self.daemon.serves_host_files:
            return self.daemon.server.run_in(self._testMethodName, command, stdin)
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.host, input=stdin, capture_output=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def run_program(self, command: str, timeout: float = 60) -> str:
        """Runs one of `guest_programs` in the guest: NAME ARGUMENTS…; it must succeed."""
        return self.guest.check(f"cd {self.at} && /run/{command}", timeout)

    def diagnosis(self) -> str:
        """Printed by the runner when a test fails."""
        return f"{self.daemon.diagnosis()}\n{self.guest.diagnosis()}"
