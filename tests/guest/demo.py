#!/usr/bin/env python3
"""Boots a stock kernel on a served socket and shows that files go both ways.

    demo.py --socket PATH --tag TAG --shared DIR [--kernel 6.12] [--qemu 7.2]

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
FILES_SHOWN_MAX = 12  # the directory may be somebody's real one
FILE_SIZE_SHOWN_MAX = 64 << 20
FROM_GUEST = "from-guest"
WRITE_IN_GUEST = f"""
cd {MOUNT} && mkdir -p {FROM_GUEST} && cd {FROM_GUEST} || exit 1
echo "Written by Linux $(uname -r), inside the guest." > hello.txt
dd if=/dev/urandom of=random.bin bs=1M count=8 2> /dev/null
sync
"""


def title(text: str) -> None:
    print(f"\n== {text}", flush=True)


def some_files(directory: Path) -> list[str]:
    """Names of regular files in the top two levels of a directory."""
    found = []
    for path in sorted([*directory.glob("*"), *directory.glob("*/*")]):
        regular = path.is_file() and not path.is_symlink()
        if regular and path.stat().st_size <= FILE_SIZE_SHOWN_MAX:
            found.append(str(path.relative_to(directory)))
    return found[:FILES_SHOWN_MAX]


def guest_checksum(guest: vm.Guest, name: str) -> str:
    return guest.run(["sha256sum", f"{MOUNT}/{name}"]).text.split()[0]


def compare(guest: vm.Guest, directory: Path, names: list[str]) -> bool:
    """Prints each file with both sides' checksum; whether all are the same."""
    guest.check("echo 3 > /proc/sys/vm/drop_caches")  # read from the device, not from memory
    all_same = True
    for name in names:
        seen, host = guest_checksum(guest, name), sha256_of(directory / name)
        all_same = all_same and seen == host
        verdict = "same" if seen == host else "DIFFERENT"
        print(f"   {name:24} guest {seen[:SHA256_SHOWN]}  host {host[:SHA256_SHOWN]}  {verdict}")
    return all_same


def show(guest: vm.Guest, directory: Path, tag: str) -> bool:
    title(f"The guest (Linux {guest.kernel_release}) mounts '{tag}'")
    guest.mount(tag, MOUNT)
    print("   " + guest.check(f"grep ' {MOUNT} ' /proc/mounts").strip())
    title("What the guest sees")
    print("   " + guest.check(f"ls -la {MOUNT}").strip().replace("\n", "\n   "))
    title("Files the host wrote, read in the guest (sha256)")
    same = compare(guest, directory, some_files(directory))
    title("Files the guest writes, read on the host")
    guest.check(WRITE_IN_GUEST)
    written = [f"{FROM_GUEST}/hello.txt", f"{FROM_GUEST}/random.bin"]
    same = compare(guest, directory, written) and same
    print(f"   {FROM_GUEST}/hello.txt says: " + (directory / FROM_GUEST / "hello.txt").read_text())
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--tag", default="dpfs")
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--kernel", default="6.12", choices=("6.1", "6.12"))
    parser.add_argument("--qemu", default="7.2", choices=("7.2", "10"))
    arguments = parser.parse_args()

    device = vm.FsDevice(arguments.socket.resolve(), arguments.tag)
    options = vm.GuestOptions([device], kernel=arguments.kernel, qemu=arguments.qemu, name="demo")
    names = {"kvm": "KVM", "tcg": "emulation (KVM does not run guests here)"}
    title(f"Booting a stock Debian kernel in QEMU, with {names[accelerator.usable()]}")
    with vm.Guest(options) as guest:
        print(f"   up after {guest.boot_seconds:.1f} s")
        same = show(guest, arguments.shared, arguments.tag)
    title("The guest unmounted and powered off")
    print("   every file is the same on both sides" if same else "   FILES DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (vm.GuestError, vm.images.MissingImage, AssertionError) as problem:
        sys.exit(f"demo: {problem}")
