#!/usr/bin/env python3
"""Boots a stock kernel on a served socket and shows that files go both ways.

    demo.py --socket PATH --tag TAG --dir DIR [--kernel 6.12] [--qemu 7.2]

DIR is what the daemon behind the socket serves; the host's side of the checksums is read there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import accelerator  # noqa: E402  (found through the line above)
import vm  # noqa: E402
from case import sha256_of  # noqa: E402

MOUNT = "/mnt/dpfs"
SHA256_SHOWN = 16
WRITE_IN_GUEST = f"""
cd {MOUNT} || exit 1
echo "Written by Linux $(uname -r), inside the guest." > hello-from-guest.txt
dd if=/dev/urandom of=random-from-guest.bin bs=1M count=8 2> /dev/null
sync
"""


def title(text: str) -> None:
    print(f"\n== {text}", flush=True)


def guest_checksums(guest: vm.Guest) -> dict[str, str]:
    """File name -> sha256, read in the guest from the device rather than from its cache."""
    guest.check("echo 3 > /proc/sys/vm/drop_caches")
    lines = guest.check(f"cd {MOUNT} && find . -type f -exec sha256sum {{}} +").splitlines()
    return {name.removeprefix("./"): digest for digest, name in (l.split("  ", 1) for l in lines)}


def compare(directory: Path, seen: dict[str, str]) -> bool:
    """Prints each file with both sides' checksum; whether all are the same."""
    same = True
    for name, digest in sorted(seen.items()):
        host = sha256_of(directory / name)
        same = same and host == digest
        verdict = "same" if host == digest else "DIFFERENT"
        print(f"   {name:28} guest {digest[:SHA256_SHOWN]}  host {host[:SHA256_SHOWN]}  {verdict}")
    return same


def show(guest: vm.Guest, directory: Path, tag: str) -> bool:
    title(f"The guest (Linux {guest.kernel_release}) mounts '{tag}'")
    guest.mount(tag, MOUNT)
    print("   " + guest.check(f"grep ' {MOUNT} ' /proc/mounts").strip())
    title("What the guest sees")
    print("   " + guest.check(f"ls -la {MOUNT}").strip().replace("\n", "\n   "))
    title("Files the host wrote, read in the guest")
    same = compare(directory, guest_checksums(guest))
    title("The guest writes two files of its own")
    guest.check(WRITE_IN_GUEST)
    same = compare(directory, guest_checksums(guest)) and same
    text = (directory / "hello-from-guest.txt").read_text().strip()
    print(f"   the host reads hello-from-guest.txt: {text}")
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--tag", default="dpfs")
    parser.add_argument("--dir", type=Path, required=True, dest="directory")
    parser.add_argument("--kernel", default="6.12", choices=("6.1", "6.12"))
    parser.add_argument("--qemu", default="7.2", choices=("7.2", "10"))
    arguments = parser.parse_args()

    device = vm.FsDevice(arguments.socket.resolve(), arguments.tag)
    options = vm.GuestOptions([device], kernel=arguments.kernel, qemu=arguments.qemu, name="demo")
    names = {"kvm": "KVM", "tcg": "emulation (KVM does not run guests here)"}
    title(f"Booting a stock Debian kernel in QEMU, with {names[accelerator.usable()]}")
    with vm.Guest(options) as guest:
        print(f"   up after {guest.boot_seconds:.1f} s")
        same = show(guest, arguments.directory, arguments.tag)
    title("The guest unmounted and powered off")
    print("   every file is the same on both sides" if same else "   FILES DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (vm.GuestError, vm.images.MissingImage, AssertionError) as problem:
        sys.exit(f"demo: {problem}")
