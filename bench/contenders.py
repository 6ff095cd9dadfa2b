"""Starts what is measured: DPFS and its peers, all on one directory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

import peers
import rows

READY_TIMEOUT_S = 20.0


class NotReady(Exception):
    """A daemon did not start; says which, and its last words."""


def _is_listening(socket: Path) -> bool:
    """Whether somebody accepts connections there: no connection is spent on finding out, as the
    peers serve one and end."""
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[-1] == str(socket) and int(fields[3], 16) & 0x10000:  # __SO_ACCEPTCON
            return True
    return False


class Contender:
    """A running daemon."""

    def __init__(self, name: str, command: list[str], socket: Path, cpus: set[int]) -> None:
        self.name = name
        self.socket = socket
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            stdout=self.log,
            stderr=self.log,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + READY_TIMEOUT_S
        while not _is_listening(self.socket):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                self.log.seek(0)
                raise NotReady(f"{self.name}: {self.log.read().decode()[-1000:]}")
            time.sleep(0.005)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def start(
    names: tuple[str, ...],
    dpfs: Path,
    known_peers: dict[str, peers.Peer],
    folder: Path,
    sockets: Path,
    cpus: set[int],
) -> list[Contender]:
    """Those of `names` that are daemons, in this order; they share `folder`."""
    running = []
    for name in names:
        if name in (rows.FLOOR, rows.NULL_FLOOR):
            continue
        socket = sockets / name.replace(" ", "-")
        socket.unlink(missing_ok=True)
        if name == rows.NULL:
            command = [str(dpfs), "serve", "null", "--socket", str(socket)]
        elif name in rows.OURS:
            command = [str(dpfs), "serve", name, "--dir", str(folder), "--socket", str(socket)]
        else:
            command = known_peers[name].command(folder, socket)
        running.append(Contender(name, command, socket, cpus))
    return running
