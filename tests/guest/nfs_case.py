"""What tests of the back end nfs have in common: a server that they make trouble for."""

from __future__ import annotations

import subprocess
import time
import unittest

import daemon
import knfsd
import settings
import vm
from agent_channel import Command
from case import MOUNT, GuestCase

OTHER = "/mnt/other"  # where the second of two devices is mounted
LEASE_S = 10
# A kernel's server comes back after its guest has booted, beside another emulated guest.
RECOVERY_TIMEOUT_S = 240

is_about_nfs = unittest.skipUnless(
    any(backend.startswith("nfs") for backend in settings.current.backends),
    "is about the back end nfs, which this run is not",
)


class NfsCase(GuestCase):
    """One server, one daemon and one guest for each test; trouble is made for the server."""

    def begin(self, **options) -> vm.Guest:
        """A guest that has mounted the export, and 32 MiB of noise in its /tmp/data."""
        self.directory = self.new_folder("nfs")
        self.daemon = self.serve(self.directory, threads=2, **options)
        self.server = self.daemon.server
        return self.boot_with([self.daemon.device()])

    def begin_two(self) -> vm.Guest:
        """A guest that has mounted the export twice, at MOUNT and OTHER: two NFS clients."""
        self.directory = self.new_folder("nfs")
        current = settings.current
        sockets = self.new_socket_folder()
        self.daemon = daemon.TwoTenantsOnNfs(
            current.dpfs, self.backend, self.directory, sockets, current.serve_options
        )
        self.daemon.start()
        self.addCleanup(self.daemon.stop)
        self.server = self.daemon.server
        guest = self.boot_with([self.daemon.device(), self.daemon.other_device])
        guest.mount("other", OTHER)
        return guest

    def boot_with(self, devices: list[vm.FsDevice]) -> vm.Guest:
        guest = self.boot(devices=devices, root="full", memory_mib=768)
        guest.mount()
        guest.check("dd if=/dev/urandom of=/tmp/data bs=1M count=32 2>/dev/null")
        self.noise = guest.check("sha256sum < /tmp/data").split()[0]
        return guest

    @property
    def backend(self) -> str:
        return next(b for b in settings.current.backends if b.startswith("nfs"))

    def crash(self) -> None:
        """The server dies with what it has not made durable, and comes back."""
        self.server.kill()
        self.server.start()

    # -------------------------------------------------------- what the server has, beside us

    def run_on_server(self, command: str) -> str:
        """Another user of the server's files: a shell in the export's directory."""
        if isinstance(self.server, knfsd.Knfsd):
            return self.server.run(f"cd {knfsd.SERVED} && {command}")
        done = subprocess.run(
            command, shell=True, cwd=self.directory, text=True, capture_output=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def digest_on_server(self, name: str) -> str:
        return self.run_on_server(f"sha256sum < {name}").split()[0]

    def wait_until_grows(self, name: str) -> None:
        """Until a part of a file has reached the server."""
        deadline = time.monotonic() + 60
        while int(self.run_on_server(f"stat -c %s {name} 2>/dev/null || echo 0")) < 1 << 20:
            self.assertLess(time.monotonic(), deadline, f"{name} does not grow")

    # -------------------------------------------------------------------- every byte, compared

    def expect_success(self, command: Command) -> None:
        outcome = command.wait(RECOVERY_TIMEOUT_S)
        self.assertEqual(outcome.code, 0, f"{outcome.text}\n{self.daemon.diagnosis()}")

    def expect_noise(self, guest: vm.Guest, *names: str) -> None:
        """Files hold /tmp/data: as the guest reads them anew, and as the server has them."""
        for name in names:
            again = f"echo 3 > /proc/sys/vm/drop_caches; cmp /tmp/data {MOUNT}/{name}"
            guest.check(again, RECOVERY_TIMEOUT_S)
            self.assertEqual(self.digest_on_server(name), self.noise, name)
