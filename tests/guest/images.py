"""Where scripts/guest-images puts what guests boot."""

from __future__ import annotations

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
IMAGES = REPOSITORY / "build" / "guest"
LOGS = IMAGES / "logs"


class MissingImage(Exception):
    """Something to boot is not there; says how to get it."""


def _existing(path: Path, image: str) -> Path:
    if not path.exists():
        raise MissingImage(f"{path} does not exist: run scripts/guest-images {image}")
    return path


def kernel(series: str) -> Path:
    """The kernel of a series ('6.1' or '6.12'), unpacked where guest-images could do that."""
    folder = IMAGES / f"kernel-{series}"
    unpacked = folder / "vmlinux"
    return unpacked if unpacked.exists() else _existing(folder / "vmlinuz", f"kernel-{series}")


def initramfs(series: str) -> Path:
    return _existing(IMAGES / f"kernel-{series}" / "initramfs", f"initramfs-{series}")


def ganesha(version: str) -> Path:
    """The NFS server 'ganesha' or 'ganesha-sid'; its packages are unpacked beside it."""
    return _existing(IMAGES / version / "ganesha.nfsd", version)


def knfsd_initramfs() -> Path:
    """Of a guest that can serve NFS with its kernel, for kernel 6.12."""
    return _existing(IMAGES / "knfsd" / "initramfs", "knfsd")


def full_root() -> Path:
    return _existing(IMAGES / "full-root.ext4", "full-root")


def qemu(version: str) -> Path:
    """QEMU '10' is ours, unpacked; '7.2' is what Debian 12 installs."""
    if version == "10":
        return _existing(IMAGES / "qemu-10" / "qemu-system-x86_64", "qemu-10")
    installed = shutil.which("qemu-system-x86_64")
    if installed is None:
        raise MissingImage("qemu-system-x86_64 is not installed: apt-get install qemu-system-x86")
    return Path(installed)
