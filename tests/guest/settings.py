"""What a run of the guest tests is about; tests/guest/run fills it in before it loads tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import images


DEFAULT_DPFS = images.REPOSITORY / "build" / "release" / "bin" / "dpfs"


@dataclass
class Settings:
    dpfs: Path = DEFAULT_DPFS
    backends: list[str] = field(default_factory=lambda: ["uring", "aio"])
    crashes: int = 3  # how often the robustness tests kill a guest
    quick: bool = False  # leave out what takes minutes
    nfs_server: str = "ganesha"  # ganesha, ganesha-sid or knfsd
    serve_options: list[str] = field(default_factory=list)  # more words for `dpfs serve`


current = Settings()
