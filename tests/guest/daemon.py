"""The process that serves a directory to guests: ours, or Debian's C virtiofsd as a yardstick."""

from __future__ import annotations

import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ganesha
import images
import knfsd
import settings
import tcp_proxy
from vm import FsDevice, tail_of

READY_TIMEOUT_S = 20
STOP_TIMEOUT_S = 40  # dpfs gives requests in flight 30 s
VIRTIOFSD = Path("/usr/lib/qemu/virtiofsd")


class DaemonError(Exception):
    """A daemon did not start, or did not end as it should."""


@dataclass(frozen=True)
class Footprint:
    """What a process holds; compared before and after to find what it leaks."""

    threads: int
    descriptors: int
    resident_kib: int


class Daemon:
    """A server on one socket. As a context manager it runs from entry to exit."""

    serves_host_files = True  # what guests see are files of a directory of this machine

    def __init__(
        self, command: Sequence[str], ready: str, socket: Path, tag: str, ready_count: int = 1
    ) -> None:
        """`ready` is in the line, on either output, after which clients can connect; there
        are `ready_count` of it."""
        self.socket = socket
        self.tag = tag
        self._command = list(command)
        self._ready = ready
        self._ready_count = ready_count
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        images.LOGS.mkdir(parents=True, exist_ok=True)
        self.log = Path(tempfile.mkstemp(".log", "daemon-", images.LOGS)[1])
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Daemon:
        return self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()

    @property
    def command(self) -> list[str]:
        return self._command

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Daemon:
        # setpriv: the daemon must not outlive a test run that is killed.
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *self._command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._copy_output, daemon=True)
        self._reader.start()
        deadline = time.monotonic() + READY_TIMEOUT_S
        ready_count = 0
        while ready_count < self._ready_count:
            line = self._next_line(deadline)
            if line is None:
                self.kill()
                raise DaemonError(f"{self._command} did not get ready\n{self.diagnosis()}")
            ready_count += self._ready in line
        return self

    def device(self, queues: int = 1, queue_size: int = 128, packed: bool = False) -> FsDevice:
        """The virtio-fs device with which a guest reaches this daemon."""
        return FsDevice(self.socket, self.tag, queues, queue_size, packed)

    def stop(self) -> None:
        """SIGTERM; it must then drain and exit 0."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DaemonError(
                f"daemon did not end within {STOP_TIMEOUT_S} s of SIGTERM\n{self.diagnosis()}"
            ) from None
        self._finish()
        if code != 0:
            raise DaemonError(f"daemon exited {code} on SIGTERM\n{self.diagnosis()}")

    def kill(self) -> None:
        """SIGKILL: what a crash looks like to the guest. Harmless when it has ended."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._finish()

    def wait(self, timeout: float = STOP_TIMEOUT_S) -> int:
        """Waits for a daemon that ends by itself; its exit code."""
        assert self._process is not None
        code = self._process.wait(timeout)
        self._finish()
        return code

    def footprint(self) -> Footprint:
        assert self._process is not None
        process = Path("/proc") / str(self._process.pid)
        status = dict(
            line.split(":", 1) for line in (process / "status").read_text().splitlines()
        )
        names = [(task / "comm").read_text() for task in (process / "task").iterdir()]
        return Footprint(
            # Not those that come and go with the load, up to a bound: the kernel's io_uring
            # workers, and the pool's threads.
            threads=sum(not name.startswith(("iou-", "dpfs-b")) for name in names),
            descriptors=len(list((process / "fd").iterdir())),
            resident_kib=int(status["VmRSS"].split()[0]),
        )

    def statistics(self, tag: str, subject: str) -> dict[str, int]:
        """What dpfs counts of one device: its line `stats tag=TAG SUBJECT name=count …`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while (line := self._next_line(deadline)) is not None:
            _, found, counts = line.partition(f"stats tag={tag} {subject} ")
            if found:
                pairs = (word.split("=") for word in counts.split())
                return {name: int(count) for name, count in pairs}
        raise DaemonError(f"no statistics of {subject}\n{self.diagnosis()}")

    def diagnosis(self) -> str:
        code = self._process.poll() if self._process is not None else None
        state = "runs" if code is None else f"exited {code}"
        return f"--- daemon {state}; {self.log} ends:\n{tail_of(self.log)}\n---"

    def _finish(self) -> None:
        if self._reader is not None:
            self._reader.join()
        assert self._process is not None and self._process.stdout is not None
        self._process.stdout.close()

    def _copy_output(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        with self.log.open("wb") as log:
            for line in self._process.stdout:
                log.write(line)
                log.flush()
                self._lines.put(line.decode(errors="replace"))
        self._lines.put(None)

    def _next_line(self, deadline: float) -> str | None:
        try:
            return self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return None


class Dpfs(Daemon):
    """`dpfs serve BACKEND --dir DIRECTORY`: serves one guest after the other."""

    serves_many_guests = True

    def __init__(
        self,
        program: Path,
        backend: str,
        directory: Path,
        folder: Path,
        tag: str = "dpfs",
        queues: int = 1,
        threads: int = 1,
        options: Sequence[str] = (),
    ) -> None:
        socket = folder / f"{tag}.sock"
        command = [str(program), "serve", backend, "--socket", str(socket), "--tag", tag]
        command += ["--queues", str(queues), "--threads", str(threads), *options]
        if backend != "null":
            command += ["--dir", str(directory)]
        super().__init__(command, "ready tag=", socket, tag)


def nfs_server(directory: Path) -> ganesha.Ganesha | knfsd.Knfsd:
    """The NFS server of this run. The kernel's has a disk of its own instead of DIRECTORY."""
    name = settings.current.nfs_server
    return knfsd.Knfsd() if name == "knfsd" else ganesha.Ganesha(directory, name)


class DpfsOnNfs(Daemon):
    """`dpfs serve nfs` on an NFS server of its own that exports DIRECTORY. Guests reach through
    it what the test sees on the host, as with the other back ends."""

    serves_many_guests = True

    def __init__(
        self,
        program: Path,
        backend: str,
        directory: Path,
        folder: Path,
        tag: str = "dpfs",
        queues: int = 1,
        threads: int = 1,
        options: Sequence[str] = (),
        proxy: Callable[[int], tcp_proxy.TcpProxy] | None = None,
    ) -> None:
        """`proxy` makes what stands between the daemon and the server's port."""
        socket = folder / f"{tag}.sock"
        self.server = nfs_server(directory)
        self.serves_host_files = self.server.serves_host_files
        self.proxy = proxy(self.server.port) if proxy is not None else None
        address = self.server.address if self.proxy is None else self.proxy.address
        command = [str(program), "serve", "nfs", "--socket", str(socket), "--tag", tag]
        command += ["--queues", str(queues), "--threads", str(threads), *options]
        command += ["--server", address, "--export", self.server.export]
        command += ["--nfs-minor-version", "1" if backend == "nfs4.1" else "2"]
        super().__init__(command, "ready tag=", socket, tag)

    def start(self) -> Daemon:
        self.server.start()
        return super().start()

    def stop(self) -> None:
        super().stop()
        self._stop_server()

    def kill(self) -> None:
        super().kill()
        self._stop_server()

    def _stop_server(self) -> None:
        self.server.stop()
        if self.proxy is not None:
            self.proxy.stop()
            self.proxy = None


class TwoTenantsOnNfs(DpfsOnNfs):
    """One process with two devices, each an NFS client of its own of one server's export."""

    def __init__(
        self, program: Path, backend: str, directory: Path, folder: Path, words: Sequence[str]
    ) -> None:
        super().__init__(program, backend, directory, folder)
        sockets = {tag: folder / f"{tag}.sock" for tag in ("dpfs", "other")}
        config = folder / "dpfs.toml"
        minor_version = "1" if backend == "nfs4.1" else "2"
        sections = (
            f'[[device]]\nbackend = "nfs"\ntag = "{tag}"\nsocket = "{socket}"\n'
            f'server = ["{self.server.address}"]\nexport = "{self.server.export}"\n'
            f"nfs_minor_version = {minor_version}\n"
            for tag, socket in sockets.items()
        )
        config.write_text("\n".join(sections))
        self._command = [str(program), "serve", "--config", str(config), *words]
        self._ready_count = 2
        self.other_device = FsDevice(sockets["other"], "other")


class DpfsWithTwoDevices(Daemon):
    """One process that serves one directory to two guests, from a configuration file."""

    serves_many_guests = True

    def __init__(
        self, program: Path, backend: str, directory: Path, folder: Path, words: Sequence[str]
    ) -> None:
        sockets = {tag: folder / f"{tag}.sock" for tag in ("dpfs", "other")}
        config = folder / "dpfs.toml"
        sections = (
            f'[[device]]\nbackend = "{backend}"\ntag = "{tag}"\nsocket = "{socket}"\n'
            f'dir = "{directory}"\n'
            for tag, socket in sockets.items()
        )
        config.write_text("\n".join(sections))
        command = [str(program), "serve", "--config", str(config), *words]
        super().__init__(command, "ready tag=", sockets["dpfs"], "dpfs", ready_count=2)
        self.other_device = FsDevice(sockets["other"], "other")


class Virtiofsd(Daemon):
    """Debian's C virtiofsd: one guest, one request queue, and it ends with its guest."""

    serves_many_guests = False

    def __init__(self, directory: Path, folder: Path, tag: str = "dpfs") -> None:
        socket = folder / f"{tag}.sock"
        options = "log_level=info,xattr,posix_lock,flock,posix_acl"
        command = [str(VIRTIOFSD), "-f", f"--socket-path={socket}", "-o", f"source={directory}"]
        command += ["-o", options]
        super().__init__(command, "Waiting for vhost-user socket connection", socket, tag)

    def stop(self) -> None:
        """It does not answer SIGTERM while it waits or serves; its guest's end is its end."""
        self.kill()


def serve(
    backend: str, directory: Path, folder: Path, dpfs: Path, **options
) -> Dpfs | Virtiofsd:
    """The daemon for a back end by name; 'virtiofsd' is the yardstick. Not started yet."""
    if backend == "virtiofsd":
        return Virtiofsd(directory, folder, options.get("tag", "dpfs"))
    if backend.startswith("nfs"):
        return DpfsOnNfs(dpfs, backend, directory, folder, **options)
    return Dpfs(dpfs, backend, directory, folder, **options)
