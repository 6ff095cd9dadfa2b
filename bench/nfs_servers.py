"""Starts what bench/nfs measures: servers, and `dpfs serve nfs` in front of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import nfs_rows as rows

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests" / "guest"))
from ganesha import Ganesha  # noqa: E402

DATA, DATA_SIZE = "data", 256 << 20
LISTING = "listing"


class Server(Protocol):
    """Runs until stop(); exports DATA and LISTING."""

    port: int
    export: str

    def stop(self) -> None: ...


class FakeServer:
    """Answers at once, from memory, on one CPU."""

    export = "/export"

    def __init__(self, program: Path, cpu: int) -> None:
        command = [str(program), "--entries", str(rows.LISTED_COUNT)]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class RealServer:
    """nfs-ganesha, with all its threads on one CPU, on `folder`."""

    export = Ganesha.export

    def __init__(self, folder: Path, cpu: int) -> None:
        with (folder / DATA).open("wb") as file:
            for _ in range(DATA_SIZE >> 20):
                file.write(os.urandom(1 << 20))
            os.fsync(file.fileno())
        (folder / LISTING).mkdir()
        for number in range(rows.LISTED_COUNT):
            (folder / LISTING / f"entry-{number:06}").touch()
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})  # which its threads inherit
        try:
            # A lease that does not end between two rounds.
            self._server = Ganesha(folder, lease_s=60).start()
        finally:
            os.sched_setaffinity(0, before)
        self.port = self._server.port

    def stop(self) -> None:
        self._server.stop()


class Daemon:
    """`dpfs serve nfs`, its reactor on one CPU."""

    def __init__(self, dpfs: Path, server: Server, socket: Path, options: list[str]) -> None:
        self.socket = socket
        command = [str(dpfs), "serve", "nfs", "--server", f"127.0.0.1:{server.port}",
                   "--export", server.export, "--socket", str(socket),
                   "--log-level", "error", *options]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("ready"):
                return
        raise SystemExit(f"nfs: {' '.join(command)} did not get ready")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
