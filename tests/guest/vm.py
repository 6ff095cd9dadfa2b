"""Guests: real kernels in QEMU with virtio-fs devices, and commands that run in them."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import accelerator
import images
from agent_channel import KIND_POWER_OFF, AgentChannel, Command, GuestError, Outcome

BOOT_TIMEOUT_S = 90  # an emulated guest on a busy machine; some 3 s on an idle one
CONSOLE_TAIL_LINES = 25

# On a busy host, QEMU's emulation with a thread for each CPU now and then runs a breakpoint that
# the kernel had put into code it patches, and has taken out again. It says so while it boots.
EMULATOR_FAULT = b"Oops: int3"
BOOT_ATTEMPTS_MAX = 3

_guest_numbers = itertools.count(1)


@dataclass(frozen=True)
class FsDevice:
    """One vhost-user-fs device of a guest."""

    socket: Path
    tag: str = "dpfs"
    queues: int = 1
    queue_size: int = 128
    packed: bool = False


@dataclass(frozen=True)
class GuestOptions:
    """What to boot. `kernel` is 6.1 or 6.12; `qemu` is 7.2 or 10; `root` is small or full."""

    devices: Sequence[FsDevice] = ()
    kernel: str = "6.12"
    qemu: str = "7.2"
    cpus: int = 2
    memory_mib: int = 512
    root: str = "small"
    name: str = "guest"
    may_reboot: bool = False  # else a restart (a panic, too) ends QEMU
    initramfs: Path | None = None  # instead of the kernel's own
    disks: Sequence[Path] = ()  # raw images, written to the host's page cache
    tcp_forward: tuple[int, int] | None = None  # a port of the host's 127.0.0.1 -> the guest's
    kernel_arguments: Sequence[str] = ()


def tail_of(path: Path, lines: int = CONSOLE_TAIL_LINES) -> str:
    if not path.exists():
        return "(nothing)"
    text = path.read_bytes().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:]) or "(nothing)"


def qemu_command(options: GuestOptions, console: Path, agent: Path, accel: str) -> list[str]:
    """The whole command line, in groups: machine, kernel, console and agent, devices."""
    arguments = ["console=ttyS0", "quiet", "panic=-1"]
    # Without it a guest on a loaded host can take lost timer ticks for a broken timer and hang.
    arguments += ["no_timer_check", f"guest_root={options.root}", *options.kernel_arguments]
    memory = f"{options.memory_mib}M"
    command = [str(images.qemu(options.qemu)), "-nodefaults", "-no-user-config"]
    command += [] if options.may_reboot else ["-no-reboot"]
    command += ["-display", "none", "-machine", "q35,memory-backend=mem"]
    command += ["-object", f"memory-backend-memfd,id=mem,size={memory},share=on", "-m", memory]
    command += ["-smp", str(options.cpus), *accelerator.QEMU_OPTIONS[accel]]
    command += ["-kernel", str(images.kernel(options.kernel))]
    initramfs = options.initramfs or images.initramfs(options.kernel)
    command += ["-initrd", str(initramfs), "-append", " ".join(arguments)]
    command += ["-serial", f"file:{console}", "-device", "virtio-serial-pci"]
    command += ["-chardev", f"socket,id=agent,path={agent}"]
    command += ["-device", "virtserialport,chardev=agent,nr=1"]
    if options.root == "full":
        drive = f"file={images.full_root()},if=none,id=root,format=raw,readonly=on"
        command += ["-drive", drive, "-device", "virtio-blk-pci,drive=root"]
    for index, disk in enumerate(options.disks):
        drive = f"file={disk},if=none,id=disk{index},format=raw,cache=unsafe"
        command += ["-drive", drive, "-device", f"virtio-blk-pci,drive=disk{index}"]
    if options.tcp_forward is not None:
        on_host, in_guest = options.tcp_forward
        network = f"user,id=net,hostfwd=tcp:127.0.0.1:{on_host}-:{in_guest}"
        command += ["-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="]
    for index, device in enumerate(options.devices):
        command += ["-chardev", f"socket,id=fs{index},path={device.socket}"]
        command += ["-device", _device_option(index, device)]
    return command


def _device_option(index: int, device: FsDevice) -> str:
    packed = "on" if device.packed else "off"
    return (
        f"vhost-user-fs-pci,chardev=fs{index},tag={device.tag},packed={packed},"
        f"num-request-queues={device.queues},queue-size={device.queue_size}"
    )


class Guest:
    """A running guest. As a context manager it is booted on entry and stopped on exit.

    Several commands may run at once, and several threads may use one guest.
    """

    def __init__(self, options: GuestOptions, accel: str | None = None) -> None:
        self.options = options
        self.boot_seconds = 0.0
        self._accel = accel
        self._folder: Path | None = None  # holds the agent's socket while the guest runs
        images.LOGS.mkdir(parents=True, exist_ok=True)
        label = f"{options.name}-{os.getpid()}-{next(_guest_numbers)}"
        self.console = images.LOGS / f"{label}.console"
        self._qemu_log = images.LOGS / f"{label}.qemu"
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: AgentChannel | None = None
        self._boot_count = 1

    def __enter__(self) -> Guest:
        return self.boot()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()

    # ------------------------------------------------------------------------ life and death

    def boot(self, timeout: float = BOOT_TIMEOUT_S) -> Guest:
        """Starts QEMU and waits until the guest's agent answers.

        A boot that the emulator spoilt is tried again; every other failure is the caller's.
        """
        for attempt in range(1, BOOT_ATTEMPTS_MAX + 1):
            try:
                return self._boot_once(timeout)
            except GuestError:
                spoilt = self.console.exists() and EMULATOR_FAULT in self.console.read_bytes()
                if not spoilt or attempt == BOOT_ATTEMPTS_MAX:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _boot_once(self, timeout: float) -> Guest:
        accel = self._accel or accelerator.usable()
        self._folder = Path(tempfile.mkdtemp(prefix="dpfs-guest-"))
        agent = self._folder / "agent.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(agent))
        listener.listen(1)
        began = time.monotonic()
        command = qemu_command(self.options, self.console, agent, accel)
        with self._qemu_log.open("wb") as log:
            log.write((shlex.join(command) + "\n").encode())
            log.flush()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._channel = AgentChannel(listener, self.diagnosis)
        try:
            self._channel.open(timeout, self._process)
        except GuestError:
            self.kill()
            raise
        self.boot_seconds = time.monotonic() - began
        return self

    def reboot(self, timeout: float = BOOT_TIMEOUT_S) -> None:
        """Resets the guest's machine under the same QEMU, unmounting nothing."""
        assert self._channel is not None and self.options.may_reboot
        self._boot_count += 1
        self.start("echo 1 > /proc/sys/kernel/sysrq; echo b > /proc/sysrq-trigger")
        self._channel.wait_for_boot(self._boot_count, timeout)

    def stop(self, timeout: float = 60) -> None:
        """Unmounts, powers off, and fails unless QEMU then ends well."""
        if self._process is None:
            return
        assert self._channel is not None
        self._channel.send(0, KIND_POWER_OFF)
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            diagnosis = self.diagnosis()
            self.kill()
            raise GuestError(f"guest did not power off within {timeout:g} s\n{diagnosis}") from None
        diagnosis = self.diagnosis() if code != 0 else ""
        self._clean_up()
        if code != 0:
            raise GuestError(f"QEMU exited {code} at power-off\n{diagnosis}")

    def kill(self) -> None:
        """Ends QEMU as a crash would: SIGKILL, nothing unmounted. Harmless when it has ended."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._clean_up()

    def pause(self) -> None:
        """SIGSTOP for QEMU: the guest stands still until resume()."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _clean_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        self._process = None

    # ------------------------------------------------------------------------------ commands

    def start(self, command: str | Sequence[str | bytes]) -> Command:
        """Starts a shell command line or an argument vector."""
        if self._channel is None:
            raise GuestError("the guest has not been booted")
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        return self._channel.start(argv)

    def run(
        self, command: str | Sequence[str | bytes], timeout: float = 60, stdin: bytes = b""
    ) -> Outcome:
        """Runs a command to its end: (exit code, output). No exit code is an error here."""
        started = self.start(command)
        started.write(stdin)
        started.end_input()
        return started.wait(timeout)

    def check(
        self, command: str | Sequence[str | bytes], timeout: float = 60, stdin: bytes = b""
    ) -> str:
        """Runs a command that must succeed; its output as text."""
        outcome = self.run(command, timeout, stdin)
        if outcome.code != 0:
            raise AssertionError(f"in guest: {command!r} exited {outcome.code}:\n{outcome.text}")
        return outcome.text

    def push(self, content: bytes | Path, path: str, mode: int = 0o644) -> None:
        """Writes a file in the guest."""
        data = content.read_bytes() if isinstance(content, Path) else content
        quoted = shlex.quote(path)
        self.check(f"cat > {quoted} && chmod {mode:o} {quoted}", stdin=data)

    def mount(self, tag: str = "dpfs", where: str = "/mnt/fs", options: str = "") -> str:
        """Mounts a virtio-fs device; the mount point."""
        flags = f"-o {shlex.quote(options)} " if options else ""
        self.check(f"mkdir -p {where} && mount -t virtiofs {flags}{tag} {where}")
        return where

    @property
    def kernel_release(self) -> str:
        assert self._channel is not None
        return self._channel.kernel_release

    def diagnosis(self) -> str:
        """What one wants to see when something failed."""
        code = self._process.poll() if self._process is not None else None
        state = "QEMU runs" if code is None else f"QEMU exited {code}"
        return (
            f"--- {state}; {self._qemu_log} ends:\n{tail_of(self._qemu_log, 8)}\n"
            f"--- {self.console} ends:\n{tail_of(self.console)}\n---"
        )
