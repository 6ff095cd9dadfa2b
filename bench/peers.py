"""The virtio-fs daemons that DPFS is measured against, as Debian packages them.

They are fetched and unpacked below build/peers/, with the C library that they were built for;
nothing is installed.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))
from debian_packages import Failure, PrivateApt, output_of, unpack  # noqa: E402

PEERS = REPOSITORY / "build" / "peers"
LIBRARIES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
# suite -> what packages virtiofsd there. QEMU 7.2 was the last with the one in C.
PACKAGES = {"bookworm": "qemu-system-common", "trixie": "virtiofsd", "sid": "virtiofsd"}
PROGRAMS = {
    "bookworm": "usr/lib/qemu/virtiofsd",
    "trixie": "usr/libexec/virtiofsd",
    "sid": "usr/libexec/virtiofsd",
}


def say(text: str) -> None:
    print(f"peers: {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Peer:
    """A daemon of another project."""

    name: str  # as tables have it
    suite: str
    version: str

    def command(self, directory: Path, socket: Path) -> list[str]:
        """Serves `directory` with the settings that are fastest here: no thread pool. O_DIRECT is
        honoured, as DPFS does: by default the peers ignore it."""
        root = PEERS / self.suite / "root"
        libraries = ":".join(str(root / path) for path in LIBRARIES)
        loader = [str(root / "lib64/ld-linux-x86-64.so.2"), "--library-path", libraries]
        program = str(root / PROGRAMS[self.suite])
        if self.suite == "bookworm":
            return [*loader, program, f"--socket-path={socket}", "--thread-pool-size=0",
                    "-o", f"source={directory}", "-o", "cache=auto", "-o", "sandbox=chroot", "-o", "allow_direct_io"]  # fmt: skip
        return [*loader, program, f"--socket-path={socket}", f"--shared-dir={directory}",
                "--thread-pool-size=0", "--cache=auto", "--sandbox=none", "--allow-direct-io"]  # fmt: skip


def _link_lib64(root: Path) -> None:
    """Newer packages ship the loader below /usr only."""
    loader = "ld-linux-x86-64.so.2"
    if (root / "lib64" / loader).exists():
        return
    found = next(root.rglob(loader))
    (root / "lib64").mkdir(exist_ok=True)
    (root / "lib64" / loader).symlink_to(found)


def _fetch_one(apt: PrivateApt, suite: str) -> Peer:
    package = PACKAGES[suite]
    folder = PEERS / suite
    stamp = folder / "version"
    if not stamp.exists():
        apt.update()
        version = apt.field_of(package, suite, "Version")
        shutil.rmtree(folder, ignore_errors=True)
        for archive in apt.fetch([package], suite, with_dependencies=True):
            unpack(archive, folder / "root")
        _link_lib64(folder / "root")
        stamp.write_text(version.split("-")[0].split(":")[-1])
    version = stamp.read_text().split("+")[0]
    name = "C" if suite == "bookworm" else "Rust"
    return Peer(f"{name} {version}", suite, version)


def fetch() -> list[Peer]:
    """All of them. Raises Failure with one line where a package cannot be had."""
    PEERS.mkdir(parents=True, exist_ok=True)
    peers = []
    for suite in PACKAGES:
        apt = PrivateApt(PEERS / f"apt-{suite}", [suite], say)
        peers.append(_fetch_one(apt, suite))
    return peers


if __name__ == "__main__":
    try:
        for peer in fetch():
            line = output_of(*peer.command(Path("."), Path("x"))[:4], "--version").splitlines()[0]
            print(f"{peer.name}: {line}")
    except Failure as problem:
        sys.exit(f"peers: {problem}")
