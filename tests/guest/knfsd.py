"""The Linux kernel's NFS server, on xfs, in a guest of its own behind a port of 127.0.0.1."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import images
import vm
from ganesha import free_port

SERVED = "/srv/export"
DISK_SIZE = 4 << 30
BOOT_TIMEOUT_S = 240  # beside another emulated guest

NETWORK = """
    hostname knfsd
    ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0
    ip route add default via 10.0.2.2
"""
DISK = """
    mkdir -p /srv
    mount -t xfs /dev/vda /srv 2>/dev/null || { mkfs.xfs -q -f /dev/vda && mount -t xfs /dev/vda /srv; }
    mkdir -p /srv/export /srv/records /srv/old-records
    chmod 755 /srv/export
    mount --bind /srv/records /var/lib/nfs/nfsdcld
    mount --bind /srv/old-records /var/lib/nfs/v4recovery
"""
SERVICES = """
    mount -t nfsd nfsd /proc/fs/nfsd
    mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
    echo 1048576 > /proc/fs/nfsd/max_block_size
    setsid nfsdcld -F < /dev/null > /tmp/nfsdcld.log 2>&1 &
    # The server would keep its records in the old way if this were not there in time.
    while [ ! -s /var/lib/nfs/nfsdcld/main.sqlite ]; do usleep 20000; done
    setsid rpc.mountd -N 3 -u -F < /dev/null > /tmp/mountd.log 2>&1 &
    exportfs -ra
"""


class Knfsd:
    """Runs from start() to stop(); kill() and start() again is a power failure: what the server
    had not made durable is gone, what it has recorded of its clients is there."""

    export = "/"
    serves_host_files = False  # they are on the guest's disk: commands in `guest` see them

    def __init__(self, lease_s: int = 10, grace_s: int = 10) -> None:
        self.port = free_port()
        self.guest: vm.Guest | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="knfsd-", dir=images.IMAGES / "scratch"))
        self._disk = self._folder / "xfs"
        with self._disk.open("wb") as disk:
            disk.truncate(DISK_SIZE)
        self._times = f"-G {grace_s} -L {lease_s}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> Knfsd:
        self.guest = vm.Guest(
            vm.GuestOptions(
                name="knfsd",
                cpus=1,
                memory_mib=1024,
                initramfs=images.knfsd_initramfs(),
                disks=[self._disk],
                tcp_forward=(self.port, 2049),
            )
        )
        self.guest.boot(BOOT_TIMEOUT_S)
        for script in (NETWORK, DISK, SERVICES):
            self.guest.check(f"set -e; {script}", BOOT_TIMEOUT_S)
        self.serve()
        return self

    def serve(self) -> None:
        """Starts the server's threads; after `rpc.nfsd 0` it is a restart, with grace."""
        self.run(f"rpc.nfsd -N 3 -V 4.1 -V 4.2 -U {self._times} -p 2049 8")

    def run(self, command: str, timeout: float = BOOT_TIMEOUT_S) -> str:
        """A command on the server, as root: another user of its files."""
        assert self.guest is not None
        return self.guest.check(command, timeout)

    def run_in(self, folder: str, command: str, stdin: bytes = b"") -> bytes:
        """A shell command in a folder of the export; its output."""
        assert self.guest is not None
        outcome = self.guest.run(f"cd {SERVED}/{folder} && {command}", BOOT_TIMEOUT_S, stdin)
        if outcome.code != 0:
            raise AssertionError(f"on the server: {command!r}: {outcome.text}")
        return outcome.output

    def pause(self) -> None:
        """Its processor stands still: connections stay, nothing is answered, until resume()."""
        assert self.guest is not None
        self.guest.pause()

    def resume(self) -> None:
        assert self.guest is not None
        self.guest.resume()

    def kill(self) -> None:
        if self.guest is not None:
            self.guest.kill()
            self.guest = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
