"""What is measured, and what DPFS is meant to reach in it."""

from __future__ import annotations

from dataclasses import dataclass, field

# Contenders, by the name that rows use.
FLOOR, NULL_FLOOR = "floor", "floor null"
URING, AIO, NULL = "uring", "aio", "null"
C, RUST_13, RUST_14 = "C", "Rust 1.13", "Rust 1.14"
PEERS = (C, RUST_13, RUST_14)
OURS = (URING, AIO)


@dataclass(frozen=True)
class Goal:
    """A figure of ours against somebody else's: of rates, or of what `figure` names."""

    at_least: float
    against: tuple[str, ...]  # the best of them counts

    def __str__(self) -> str:
        return f"≥ {self.at_least:g} × {' or '.join(self.against)}"


@dataclass(frozen=True)
class Limit:
    """A figure of ours that must not be passed."""

    figure: str  # of the report: p50_us, user_us, system_us, calls_per_request
    at_most: float

    def __str__(self) -> str:
        return f"{self.figure} ≤ {self.at_most:g}"


@dataclass(frozen=True)
class Row:
    """One work, by several contenders in turn."""

    name: str
    work: str
    depth: int
    place: str = "tmpfs"  # or disk
    block_size: str = "4k"
    contenders: tuple[str, ...] = (FLOOR, URING, AIO, *PEERS)
    bench: tuple[str, ...] = ()  # more options of `dpfs bench`
    goals: tuple[Goal | Limit, ...] = field(default=())

    @property
    def title(self) -> str:
        moved = self.work.endswith(("read", "write", "mixed"))
        size = f"{self.block_size} " if moved else ""
        return f"{size}{self.work}, depth {self.depth}, {self.place}{self.note}"

    @property
    def note(self) -> str:
        words = {"--direct": ", O_DIRECT", "interrupt": ", front end sleeps"}
        return "".join(text for option, text in words.items() if option in self.bench)


def _floor(share: float) -> Goal:
    return Goal(share, (FLOOR,))


WITHOUT_FLOOR = (*OURS, *PEERS)
BEST = PEERS
CPU = (Limit("user_us", 0.45), Limit("system_us", 1.0))

ROWS = (
    Row("read-tmpfs", "randread", 32,
        goals=(_floor(0.90), Goal(1.4, (C,)), Goal(2.3, (RUST_14,)), *CPU)),
    Row("read-disk", "randread", 32, place="disk", goals=(_floor(0.90),)),
    Row("write-tmpfs", "randwrite", 32, goals=(_floor(0.90),)),
    Row("write-disk", "randwrite", 32, place="disk", goals=(_floor(0.90),)),
    Row("read-tmpfs-128", "randread", 128, goals=(_floor(0.90),)),
    Row("write-tmpfs-128", "randwrite", 128, goals=(_floor(0.90),)),
    Row("read-1m", "randread", 4, block_size="1M", goals=(_floor(0.97),)),
    Row("read-128k", "randread", 4, block_size="128k", goals=(_floor(0.97),)),
    Row("write-1m", "randwrite", 4, block_size="1M", goals=(_floor(0.97),)),
    Row("getattr", "getattr", 32, contenders=WITHOUT_FLOOR, goals=(Goal(1.35, (C,)),)),
    Row("lookup", "lookup", 32, contenders=WITHOUT_FLOOR, goals=(Goal(1.8, (C,)),)),
    Row("create-unlink", "create-unlink", 8, contenders=WITHOUT_FLOOR, goals=(Goal(1.3, BEST),)),
    Row("readdir", "readdir", 1, contenders=WITHOUT_FLOOR, goals=(Goal(1.5, (C,)),)),
    Row("readdirplus", "readdirplus", 1, contenders=WITHOUT_FLOOR, goals=(Goal(3, (C,)),)),
    Row("read-depth-1", "randread", 1, goals=(Limit("p50_us", 3),)),
    Row("statfs-depth-1", "statfs", 1, contenders=WITHOUT_FLOOR, goals=(Goal(5, BEST),)),
    Row("open-close-depth-1", "open-close", 1, contenders=WITHOUT_FLOOR, goals=(Goal(5, BEST),)),
    Row("create-unlink-depth-1", "create-unlink", 1, contenders=WITHOUT_FLOOR,
        goals=(Goal(5, BEST),)),
    Row("read-interrupt", "randread", 32, contenders=WITHOUT_FLOOR, bench=("--poll", "interrupt"),
        goals=(Goal(1.5, (C,)), Limit("calls_per_request", 0.05))),
    *(Row(f"read-direct-{depth}", "randread", depth, place="disk", bench=("--direct",),
          goals=(Goal(1.0, BEST),))
      for depth in (1, 4, 32)),
    Row("null-read", "randread", 32, contenders=(NULL_FLOOR, NULL),
        goals=(Goal(0.85, (NULL_FLOOR,)),)),
)  # fmt: skip

# What the plots show: the same work at several depths, and with several block sizes.
DEPTHS = (1, 2, 4, 8, 16, 32, 64, 128)
BLOCK_SIZES = ("4k", "16k", "64k", "128k", "256k", "512k", "1M")
DEPTH_SWEEP = tuple(Row(f"sweep-depth-{depth}", "randread", depth) for depth in DEPTHS)
SIZE_SWEEP = tuple(
    Row(f"sweep-size-{size}", "randread", 4, block_size=size) for size in BLOCK_SIZES
)
ALL = (*ROWS, *DEPTH_SWEEP, *SIZE_SWEEP)
