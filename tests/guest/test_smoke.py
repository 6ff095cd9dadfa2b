"""Goal: every kernel, QEMU and ring layout mounts, writes and reads.

Method: one short boot for each combination; checksums of files are taken on both sides. That all
queues carry requests is read from the guest's interrupt counters, one for each virtqueue.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import vm
from case import MOUNT, GuestCase, for_each_backend, sha256_of

RING_PACKED_BIT = 34  # virtio 1.2, 6: VIRTIO_F_RING_PACKED
FILE_SIZE = 5_000_003  # many requests, and not a multiple of any block size
KERNEL_QUEUES = {"6.1": 1, "6.12": 4}


def file_system_device_features(guest: vm.Guest) -> str:
    """The negotiated feature bits of the virtio-fs device (id 26), least significant first."""
    return guest.check(
        "for d in /sys/bus/virtio/devices/*; do"
        " test $(cat $d/device) = 0x001a && cat $d/features; done; true"
    ).strip()


def request_interrupts(guest: vm.Guest) -> dict[int, int]:
    """Request queue index -> interrupts so far, over all processors."""
    counts: dict[int, int] = {}
    for line in guest.check("cat /proc/interrupts").splitlines():
        match = re.match(r"\s*\d+:\s+((?:\d+\s+)+).*-requests\.(\d+)$", line)
        if match:
            counts[int(match[2])] = sum(map(int, match[1].split()))
    return counts


class SmokeMatrix(GuestCase):
    """mount, write, read back, compare: for one combination of kernel, QEMU and ring."""

    def check_combination(self, kernel: str, qemu: str, packed: bool) -> None:
        queues = KERNEL_QUEUES[kernel]
        if packed or queues > 1:
            self.require_dpfs("has split rings and one request queue only")
        directory = self.new_folder("smoke")
        host_file = directory / "from_host"
        host_file.write_bytes(bytes(range(251)) * (FILE_SIZE // 251))
        server = self.serve(directory, queues=queues, threads=min(queues, 2))
        device = server.device(queues=queues, packed=packed)
        guest = self.boot(devices=[device], kernel=kernel, qemu=qemu, cpus=queues)
        self.assertTrue(guest.kernel_release.startswith(kernel + "."), guest.kernel_release)
        guest.mount()
        self.assertEqual(file_system_device_features(guest)[RING_PACKED_BIT], "01"[packed])
        self.check_files(guest, directory, host_file)
        self.check_all_queues_used(guest, queues)
        guest.stop()

    def check_files(self, guest: vm.Guest, directory: Path, host_file: Path) -> None:
        seen = guest.check(f"sha256sum < {MOUNT}/from_host").split()[0]
        self.assertEqual(seen, sha256_of(host_file))
        written = guest.check(
            f"cd {MOUNT} && dd if=/dev/urandom of=/tmp/r bs=1M count=6 2>/dev/null"
            " && cp /tmp/r from_guest && sync && sha256sum < /tmp/r"
        ).split()[0]
        self.assertEqual(sha256_of(directory / "from_guest"), written)
        guest.check(f"echo 3 > /proc/sys/vm/drop_caches; cmp /tmp/r {MOUNT}/from_guest")

    def check_all_queues_used(self, guest: vm.Guest, queues: int) -> None:
        """The driver picks the queue by the processor that submits a request."""
        for cpu in range(queues):
            guest.check(f"taskset {1 << cpu:x} touch {MOUNT}/cpu{cpu}")
        counts = request_interrupts(guest)
        self.assertEqual(sorted(counts), list(range(queues)), "queues that exist")
        self.assertTrue(all(counts.values()), f"interrupts of each request queue: {counts}")


def _combination(kernel: str, qemu: str, packed: bool) -> Callable[[SmokeMatrix], None]:
    return lambda self: self.check_combination(kernel, qemu, packed)


for _kernel in KERNEL_QUEUES:
    for _qemu in ("7.2", "10"):
        for _packed in (False, True):
            _ring = "packed" if _packed else "split"
            _name = f"test_kernel_{_kernel}_qemu_{_qemu}_{_ring}".replace(".", "_")
            setattr(SmokeMatrix, _name, _combination(_kernel, _qemu, _packed))

for_each_backend(SmokeMatrix)
del SmokeMatrix  # only its variants are tests
