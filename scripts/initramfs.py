"""What goes into an initramfs: kernel modules in the order of loading, and the archive itself."""

from __future__ import annotations

import lzma
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from debian_packages import Failure


def module_name(path: Path) -> str:
    return path.name.split(".ko")[0].replace("-", "_")


def module_bytes(path: Path) -> bytes:
    """A module as the kernel's init_module() takes it: uncompressed."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def module_dependencies(data: bytes) -> list[str]:
    """Reads the 'depends' string out of a module's .modinfo section."""
    match = re.search(rb"\0depends=([^\0]*)\0", data)
    return [d.replace("-", "_") for d in match[1].decode().split(",") if d] if match else []


class ModuleTree:
    """The modules of one kernel package, and the order in which to load some of them."""

    def __init__(self, root: Path) -> None:
        self.files = {module_name(p): p for p in root.rglob("*.ko*")}
        builtin = [line for f in root.rglob("modules.builtin") for line in f.read_text().split()]
        self.builtin = {module_name(Path(line)) for line in builtin}

    def load_order(self, wanted: Iterable[str]) -> list[str]:
        order: list[str] = []
        for name in wanted:
            self._add(name, order)
        return order

    def _add(self, name: str, order: list[str]) -> None:
        if name in order or name in self.builtin:
            return
        if name not in self.files:
            raise Failure(f"the kernel package has no module {name}")
        for dependency in module_dependencies(module_bytes(self.files[name])):
            self._add(dependency, order)
        order.append(name)


class Cpio:
    """Builds an initramfs in the 'newc' format: no root rights needed for device nodes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.count = 0

    def add(
        self, path: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        name = path.encode() + b"\0"
        self.count += 1
        fields = (self.count, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name), 0)
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields) + name
        self._pad()
        self.data += content
        self._pad()

    def add_folder(self, path: str) -> None:
        self.add(path, stat.S_IFDIR | 0o755)

    def add_program(self, path: str, content: bytes) -> None:
        self.add(path, stat.S_IFREG | 0o755, content)

    def finish(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return bytes(self.data)

    def _pad(self) -> None:
        self.data += b"\0" * (-len(self.data) % 4)
