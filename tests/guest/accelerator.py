"""Chooses between KVM and emulation: a /dev/kvm that exists need not run guests."""

from __future__ import annotations

import os
from pathlib import Path

import images

QEMU_OPTIONS = {
    "kvm": ["-accel", "kvm", "-cpu", "host"],
    "tcg": ["-accel", "tcg,thread=multi", "-cpu", "max"],
}
PROBE_TIMEOUT_S = 15
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def usable() -> str:
    """'kvm' if a guest really boots on it, else 'tcg'. Probed once per boot of this machine."""
    forced = os.environ.get("DPFS_GUEST_ACCEL")
    if forced:
        return forced
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    cache = images.IMAGES / "accelerator"
    boot_id = _BOOT_ID.read_text().strip()
    known = cache.read_text().split() if cache.exists() else []
    if len(known) == 2 and known[0] == boot_id:
        return known[1]
    found = "kvm" if _boots_on_kvm() else "tcg"
    cache.write_text(f"{boot_id} {found}\n")
    return found


def _boots_on_kvm() -> bool:
    import vm  # vm asks this module which accelerator to use

    guest = vm.Guest(vm.GuestOptions(name="kvm-probe", cpus=1), accel="kvm")
    try:
        guest.boot(PROBE_TIMEOUT_S)
    except vm.GuestError:
        return False
    guest.kill()
    return True
