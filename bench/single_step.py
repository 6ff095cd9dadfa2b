"""Counts the instructions of one thread of another process by stepping through them (ptrace(2)):
slow, but exact, and possible where the CPU's counters are not."""

from __future__ import annotations

import ctypes
import os
import time
from collections import Counter

_ATTACH_SEIZE, _INTERRUPT, _SINGLE_STEP, _DETACH, _PEEK_USER = 0x4206, 0x4207, 9, 17, 3
_RIP = 16 * 8  # of struct user (sys/user.h), x86-64
_WAIT_THREADS = 0x40000000  # __WALL

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, thread: int, address: int = 0) -> int:
    ctypes.set_errno(0)
    result = _libc.ptrace(request, thread, address, None)
    if ctypes.get_errno() != 0:
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")
    return result


class Stepper:
    """Holds a thread; it runs only while step() does."""

    def __init__(self, thread: int) -> None:
        self.thread = thread
        _ptrace(_ATTACH_SEIZE, thread)
        _ptrace(_INTERRUPT, thread)
        os.waitpid(thread, _WAIT_THREADS)

    def step(self, seconds: float) -> Counter[int]:
        """The addresses of the instructions that were executed, and how often."""
        counts: Counter[int] = Counter()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(1000):
                counts[_ptrace(_PEEK_USER, self.thread, _RIP) & (1 << 64) - 1] += 1
                _ptrace(_SINGLE_STEP, self.thread)
                os.waitpid(self.thread, _WAIT_THREADS)
        return counts

    def detach(self) -> None:
        _ptrace(_DETACH, self.thread)
