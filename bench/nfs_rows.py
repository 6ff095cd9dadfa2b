"""What bench/nfs measures, and what the NFS back end is meant to reach in it."""

from __future__ import annotations

from dataclasses import dataclass

# Contenders.
FLOOR, SPINNING_FLOOR = "floor", "spinning floor"
DPFS, SLEEPING_DPFS = "dpfs", "dpfs, sleeping"
CLIENT, SLEEPING_CLIENT = "client", "client, sleeping"  # the back end without a device
# Servers.
FAKE, GANESHA = "fake", "ganesha"

LISTED_COUNT = 2000  # files in the directory that is listed


@dataclass(frozen=True)
class Row:
    """One work, by all contenders in turn. Goals: None where there is none."""

    name: str
    work: str
    depth: int
    block_size: int = 4096
    share_min: float | None = None  # of the floor's rate
    delay_us_max: float | None = None  # of our p50 above the floor's
    cpu_us_max: float | None = None  # of our CPU time above the floor's, for one operation
    rate_min: float | None = None  # operations a second, against the fake server

    @property
    def is_on_one_file(self) -> bool:
        """What the client can do without a device in front of it."""
        return self.work in ("getattr", "randread", "randwrite", "seqread", "seqwrite")

    @property
    def title(self) -> str:
        names = {4096: "4 KiB ", 65536: "64 KiB ", 1 << 20: "1 MiB "}
        size = names[self.block_size] if self.work.endswith(("read", "write")) else ""
        return f"{size}{self.work}, depth {self.depth}"


ROWS = (
    Row("read-1", "randread", 1, delay_us_max=10),
    Row("write-1", "randwrite", 1, delay_us_max=10),
    Row("read-32", "randread", 32, share_min=0.9, cpu_us_max=2, rate_min=250_000),
    Row("write-32", "randwrite", 32, share_min=0.9, cpu_us_max=2),
    Row("read-64k", "randread", 128, 65536, share_min=0.9),
    Row("write-64k", "randwrite", 128, 65536, share_min=0.9),
    Row("read-1m", "seqread", 8, 1 << 20, share_min=0.9),
    Row("write-1m", "seqwrite", 8, 1 << 20, share_min=0.9),
    Row("stat-1", "getattr", 1, delay_us_max=10),
    Row("stat-32", "getattr", 32, share_min=0.9, cpu_us_max=2),
    Row("create-unlink-1", "create-unlink", 1, delay_us_max=30),  # three requests
    Row("create-unlink-32", "create-unlink", 32, share_min=0.9),
    Row("readdir", "readdir", 1, share_min=0.9),
)
