"""NFS servers that tests run against, from Debian packages: installs nothing."""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from debian_packages import Failure, PrivateApt, output_of, unpack
from initramfs import Cpio, ModuleTree

# --------------------------------------------------------------------------------- nfs-ganesha

GANESHA_WRAPPER = """\
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
lib=$root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH="$root/usr/lib/ganesha:$lib:$root/lib/x86_64-linux-gnu"
exec "$root/usr/bin/ganesha.nfsd" "$@"
"""

# The packages of another release need that release's C library, and so its loader.
GANESHA_WRAPPER_WITH_LOADER = """\
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
lib=$root/usr/lib/x86_64-linux-gnu
exec "$lib/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/ganesha:$lib" \\
    "$root/usr/bin/ganesha.nfsd" "$@"
"""


def _write_wrapper(folder: Path, text: str) -> None:
    """Last of all: the wrapper's presence says that the rest is there."""
    wrapper = folder / "ganesha.nfsd"
    wrapper.write_text(text)
    wrapper.chmod(0o755)


def make_ganesha(apt: PrivateApt, folder: Path) -> None:
    """FOLDER/ganesha.nfsd: a wrapper around the packages of Debian 12's backports."""
    if (folder / "ganesha.nfsd").exists():
        return
    apt.update()
    suite = "bookworm-backports"
    apt.say(f"ganesha: nfs-ganesha {apt.field_of('nfs-ganesha', suite, 'Version')}")
    shutil.rmtree(folder, ignore_errors=True)
    transport = re.search(r"libntirpc[0-9.]+", apt.field_of("nfs-ganesha", suite, "Depends"))
    if transport is None:
        raise Failure("nfs-ganesha depends on no libntirpc")
    names = ["nfs-ganesha", "nfs-ganesha-vfs", transport[0]]
    names += ["libnfsidmap1", "liburcu8", "libwbclient0"]
    for package in apt.fetch(names, suite, with_dependencies=False):
        unpack(package, folder / "root")
    _write_wrapper(folder, GANESHA_WRAPPER)


def make_ganesha_of_sid(apt: PrivateApt, folder: Path) -> None:
    """FOLDER/ganesha.nfsd: the newest that Debian has, with its own C library. `apt` has sid's
    lists and no others."""
    if (folder / "ganesha.nfsd").exists():
        return
    apt.update()
    apt.say(f"ganesha-sid: nfs-ganesha {apt.field_of('nfs-ganesha', 'sid', 'Version')}")
    shutil.rmtree(folder, ignore_errors=True)
    for package in apt.fetch(["nfs-ganesha-vfs"], "sid", with_dependencies=True):
        if package.name.startswith(("lib", "nfs-ganesha")):
            unpack(package, folder / "root")
    _write_wrapper(folder, GANESHA_WRAPPER_WITH_LOADER)


# ------------------------------------------------------------------- the Linux kernel's server

KNFSD_MODULES = (
    "virtio_pci", "virtio_console", "virtio_net", "virtio_blk", "crc32c_generic", "sha256_generic",
    "xfs", "nfsd", "nfsv4",
)  # fmt: skip
KNFSD_MODULE_FOLDERS = (
    "fs", "lib", "crypto", "arch/x86/crypto", "net", "drivers/net", "drivers/virtio",
    "drivers/block", "drivers/char",
)  # fmt: skip
KNFSD_PROGRAMS = ("exportfs", "rpc.nfsd", "rpc.mountd", "nfsdcld", "mkfs.xfs", "mount.nfs")
KNFSD_PACKAGES = ("nfs-kernel-server", "xfsprogs")
KNFSD_FOLDERS = (
    "lib", "lib64", "sbin", "srv", "var", "var/lib", "var/lib/nfs", "var/lib/nfs/sm",
    "var/lib/nfs/nfsdcld", "var/lib/nfs/rpc_pipefs", "var/lib/nfs/v4recovery", "proc/fs",
)  # fmt: skip
KNFSD_FILES = {
    "etc/hosts": "127.0.0.1 localhost\n10.0.2.2 host\n10.0.2.15 knfsd\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nprotocols: files\n",
    "etc/protocols": "tcp 6 TCP\nudp 17 UDP\n",
    "etc/services": "nfs 2049/tcp\nsunrpc 111/tcp\n",
    "etc/netconfig": "tcp tpi_cots_ord v inet tcp - -\nudp tpi_clts v inet udp - -\n"
    "tcp6 tpi_cots_ord v inet6 tcp - -\nudp6 tpi_clts v inet6 udp - -\n",
    "etc/exports": "/srv/export *(rw,sync,fsid=0,insecure,no_root_squash,no_subtree_check)\n",
}


def _libraries_of(root: Path, program: Path) -> set[Path]:
    """The shared libraries that a program of an unpacked tree needs, all in that tree."""
    folders = [root / "lib/x86_64-linux-gnu", root / "usr/lib/x86_64-linux-gnu"]
    loader = root / "lib64/ld-linux-x86-64.so.2"
    path = ":".join(map(str, folders))
    listing = output_of(loader, "--library-path", path, "--list", program)
    missing = re.findall(r"(\S+) => not found", listing)
    if missing:
        raise Failure(f"{program.name} needs {missing[0]}, which no package brought")
    found = {Path(line) for line in re.findall(r"=> (/\S+) \(", listing)}
    return {library for library in found if library.name != loader.name}


def _add_user_land(cpio: Cpio, root: Path) -> None:
    libraries: set[Path] = set()
    for name in KNFSD_PROGRAMS:
        program = next((p for p in root.rglob(name) if p.parent.name in ("sbin", "bin")), None)
        if program is None:
            raise Failure(f"no package brought {name}")
        libraries |= _libraries_of(root, program)
        cpio.add_program(f"sbin/{name}", program.read_bytes())
    for library in sorted(libraries):
        cpio.add_program(f"lib/{library.name}", library.read_bytes())
    loader = root / "lib64/ld-linux-x86-64.so.2"
    cpio.add_program("lib64/ld-linux-x86-64.so.2", loader.read_bytes())
    cpio.add("sbin/mount.nfs4", stat.S_IFLNK | 0o777, b"mount.nfs")


def _fetch_modules(apt: PrivateApt, folder: Path, release: str) -> ModuleTree:
    package = f"linux-image-{release}"
    kept = sorted((apt.home / "cache" / "archives").glob(f"{package}_*.deb"))
    if not kept:
        apt.update()
        kept = apt.fetch([package], "bookworm-backports", with_dependencies=False)
    members = [f"kernel/{name}/*.ko*" for name in KNFSD_MODULE_FOLDERS]
    unpack(kept[-1], folder / "package", "modules.builtin", *members)
    return ModuleTree(folder / "package")


def make_knfsd(
    apt: PrivateApt,
    folder: Path,
    release: str,
    archive: Callable[[ModuleTree, Iterable[str]], Cpio],
) -> None:
    """FOLDER/initramfs: a guest that can be an NFS server, for the kernel `release`.

    `archive` makes what every guest has, with some modules that it loads.
    """
    image = folder / "initramfs"
    if image.exists():
        return
    apt.update()
    apt.say(f"knfsd: user land {apt.field_of('nfs-kernel-server', 'bookworm', 'Version')}")
    shutil.rmtree(folder, ignore_errors=True)
    for package in apt.fetch(KNFSD_PACKAGES, "bookworm", with_dependencies=True):
        unpack(package, folder / "root")
    cpio = archive(_fetch_modules(apt, folder, release), KNFSD_MODULES)
    for path in KNFSD_FOLDERS:
        cpio.add_folder(path)
    for path, text in KNFSD_FILES.items():
        cpio.add(path, stat.S_IFREG | 0o644, text.encode())
    _add_user_land(cpio, folder / "root")
    fresh = folder / "initramfs.new"
    fresh.write_bytes(cpio.finish())
    shutil.rmtree(folder / "root")
    shutil.rmtree(folder / "package")
    fresh.rename(image)
