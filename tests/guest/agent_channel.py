"""The host's end of the command channel; programs/guest_agent.cpp is the guest's.

Frames, both ways: three little-endian 32-bit numbers (payload size, command id, kind), then the
payload. One thread reads frames and hands them to the commands they belong to.
"""

from __future__ import annotations

import itertools
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

HEADER = struct.Struct("<III")
INPUT_CHUNK_SIZE = 1 << 16

KIND_RUN, KIND_INPUT, KIND_SIGNAL, KIND_POWER_OFF = 1, 2, 3, 4
KIND_HELLO, KIND_OUTPUT, KIND_EXIT = 16, 17, 18


class GuestError(Exception):
    """A guest did not do what was asked of it in time, or is gone."""


class Outcome(NamedTuple):
    """What a command in a guest came to; output holds standard output and standard error."""

    code: int
    output: bytes

    @property
    def text(self) -> str:
        return self.output.decode(errors="backslashreplace")


class Command:
    """A command that runs, or ran, in a guest."""

    def __init__(self, channel: AgentChannel, number: int, name: str) -> None:
        self._channel = channel
        self._number = number
        self._name = name
        self._output = bytearray()
        self._read_size = 0  # how much of it read_line() has given
        self._code: int | None = None
        self._lost = False
        self._changed = threading.Condition()

    def wait(self, timeout: float = 60) -> Outcome:
        """Waits for the end of the command; on a timeout it is killed and GuestError raised."""
        try:
            self._wait_until(lambda: self._code is not None, timeout, "end")
        except GuestError:
            self.kill()
            raise
        assert self._code is not None
        return Outcome(self._code, bytes(self._output))

    def wait_for_output(self, expected: bytes, timeout: float = 60) -> None:
        """Waits until the command has written some bytes: how a test knows how far it is."""
        self._wait_until(lambda: expected in self._output, timeout, f"write {expected!r}")

    def read_line(self, timeout: float = 60) -> str:
        """Waits for the next line of output that has not been read so."""
        self._wait_until(lambda: b"\n" in self._output[self._read_size :], timeout, "write a line")
        end = self._output.index(b"\n", self._read_size)
        line = bytes(self._output[self._read_size : end])
        self._read_size = end + 1
        return line.decode(errors="backslashreplace")

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), INPUT_CHUNK_SIZE):
            chunk = data[start : start + INPUT_CHUNK_SIZE]
            self._channel.send(self._number, KIND_INPUT, chunk)

    def end_input(self) -> None:
        self._channel.send(self._number, KIND_INPUT, b"")

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signals the command's process group; nothing happens if it is over already."""
        if not self._lost:
            self._channel.send(self._number, KIND_SIGNAL, struct.pack("<I", number))

    @property
    def running(self) -> bool:
        return self._code is None and not self._lost

    def _wait_until(self, done, timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            while not done():
                left = deadline - time.monotonic()
                if self._lost:
                    raise self._failure(f"guest is gone; '{self._name}' did not {what}")
                if self._code is not None:
                    raise self._failure(f"'{self._name}' exited {self._code}, did not {what}")
                if left <= 0:
                    raise self._failure(f"'{self._name}' did not {what} within {timeout:g} s")
                self._changed.wait(left)

    def _failure(self, text: str) -> GuestError:
        tail = bytes(self._output[-2000:]).decode(errors="backslashreplace")
        return GuestError(f"{text}; end of its output:\n{tail}\n{self._channel.diagnosis()}")

    def take_output(self, data: bytes) -> None:
        with self._changed:
            self._output += data
            self._changed.notify_all()

    def take_exit(self, code: int) -> None:
        with self._changed:
            self._code = code
            self._changed.notify_all()

    def take_loss(self) -> None:
        with self._changed:
            self._lost = True
            self._changed.notify_all()


class AgentChannel:
    """One connection to one guest's agent; QEMU connects to `listener`, which this closes."""

    def __init__(self, listener: socket.socket, diagnosis) -> None:
        """`diagnosis()` is asked for text about the guest when something goes wrong."""
        self.diagnosis = diagnosis
        self.kernel_release = ""
        self._listener = listener
        self._connection: socket.socket | None = None
        self._numbers = itertools.count(1)
        self._commands: dict[int, Command] = {}
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._boot_count = 0  # hellos so far: a guest that restarts says it again
        self._changed = threading.Condition()
        self._lost = False
        self._reader = threading.Thread(target=self._read_frames, daemon=True)

    def open(self, timeout: float, qemu: subprocess.Popen[bytes]) -> None:
        """Waits for QEMU to connect and for the agent's first word."""
        process = os.pidfd_open(qemu.pid)
        try:
            ready, _, _ = select.select([self._listener, process], [], [], timeout)
            if self._listener not in ready:
                what = "ended at once" if ready else f"did not start within {timeout:g} s"
                qemu.poll()
                raise GuestError(f"QEMU {what}\n{self.diagnosis()}")
            self._connection, _ = self._listener.accept()
        finally:
            os.close(process)
            self._listener.close()
        self._reader.start()
        self.wait_for_boot(1, timeout)

    def wait_for_boot(self, count: int, timeout: float) -> None:
        """Waits for the agent's first word of the count-th boot behind this channel."""
        with self._changed:
            done = self._changed.wait_for(lambda: self._boot_count >= count or self._lost, timeout)
        if not done or self._lost:
            what = "died while it booted" if self._lost else f"did not boot within {timeout:g} s"
            raise GuestError(f"the guest {what}\n{self.diagnosis()}")

    def start(self, argv: Sequence[str | bytes]) -> Command:
        raw = [a.encode() if isinstance(a, str) else a for a in argv]
        number = next(self._numbers)
        command = Command(self, number, b" ".join(raw).decode(errors="replace")[:200])
        with self._lock:
            self._commands[number] = command
        if self._lost:
            self._lose_commands()
        self.send(number, KIND_RUN, b"".join(a + b"\0" for a in raw))
        return command

    def send(self, number: int, kind: int, payload: bytes = b"") -> None:
        """Sends a frame. A guest that is gone is noticed by who waits for the answer."""
        assert self._connection is not None
        try:
            with self._write_lock:
                self._connection.sendall(HEADER.pack(len(payload), number, kind) + payload)
        except OSError:
            self._lose_all()

    def close(self) -> None:
        self._listener.close()
        if self._connection is not None:
            # Wakes the reader, which a close alone would not do.
            try:
                self._connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self._reader.join()
            self._connection.close()

    def _read_frames(self) -> None:
        assert self._connection is not None
        with self._connection.makefile("rb") as stream:
            try:
                while len(raw := stream.read(HEADER.size)) == HEADER.size:
                    size, number, kind = HEADER.unpack(raw)
                    self._take_frame(number, kind, stream.read(size))
            except OSError:
                pass
        self._lose_all()

    def _take_frame(self, number: int, kind: int, payload: bytes) -> None:
        if kind == KIND_HELLO:
            self.kernel_release = payload.decode()
            self._lose_commands()
            with self._changed:
                self._boot_count += 1
                self._changed.notify_all()
        elif kind == KIND_OUTPUT:
            if number in self._commands:
                self._commands[number].take_output(payload)
        elif kind == KIND_EXIT:
            with self._lock:
                command = self._commands.pop(number, None)
            if command is not None:
                command.take_exit(struct.unpack("<I", payload)[0])

    def _lose_all(self) -> None:
        with self._changed:
            self._lost = True
            self._changed.notify_all()
        self._lose_commands()

    def _lose_commands(self) -> None:
        with self._lock:
            lost = list(self._commands.values())
            self._commands.clear()
        for command in lost:
            command.take_loss()
