"""Results of bench/nfs as Markdown tables."""

from __future__ import annotations

import nfs_rows as rows

TITLES = {rows.FAKE: "A server that answers at once", rows.GANESHA: "nfs-ganesha 5.9 on ext4"}


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _amount(row: rows.Row, figures: dict) -> str:
    """Operations a second; of large blocks, bytes."""
    if row.block_size != 4096:
        return f"{_three_digits(figures['rate'] * row.block_size / 1e9)} GB/s"
    rate = figures["rate"]
    return f"{_three_digits(rate / 1000)} k/s" if rate >= 1000 else f"{_three_digits(rate)} /s"


def _judged(text: str, good: bool) -> str:
    return text if good else f"**{text}**"


def judge(row: rows.Row, measured: dict, server: str) -> list[str]:
    """Each goal's figure beside the goal; what is missed is bold."""
    everybody = measured["contenders"]
    ours, floor = everybody[rows.DPFS], everybody[rows.FLOOR]
    said = []
    if row.share_min is not None:
        share = measured["share"]
        text = f"{share:.2f} × floor (≥ {row.share_min:g})"
        said.append(_judged(text, share >= row.share_min))
    if row.delay_us_max is not None:
        delay = ours["p50_us"] - everybody[rows.SPINNING_FLOOR]["p50_us"]
        text = f"{delay:+.1f} µs (≤ {row.delay_us_max:g})"
        said.append(_judged(text, delay <= row.delay_us_max))
    if row.cpu_us_max is not None:
        more = everybody[rows.SLEEPING_DPFS]["cpu_us"] - floor["cpu_us"]
        text = f"{more:+.1f} µs of CPU (≤ {row.cpu_us_max:g})"
        said.append(_judged(text, more <= row.cpu_us_max))
    if row.rate_min is not None and server == rows.FAKE:
        text = f"{ours['rate'] / 1000:.0f} k/s (≥ {row.rate_min / 1000:g})"
        said.append(_judged(text, ours["rate"] >= row.rate_min))
    return said


def _line(row: rows.Row, measured: dict, server: str) -> str:
    everybody = measured["contenders"]
    ours, floor = everybody[rows.DPFS], everybody[rows.FLOOR]
    spinning = everybody.get(rows.SPINNING_FLOOR)
    floor_p50 = _three_digits(floor["p50_us"])
    if spinning is not None:
        floor_p50 += f" ({_three_digits(spinning['p50_us'])})"
    cells = [
        row.title,
        _amount(row, floor),
        _amount(row, ours),
        floor_p50,
        _three_digits(ours["p50_us"]),
        _three_digits(floor["cpu_us"]),
        _three_digits(everybody[rows.SLEEPING_DPFS]["cpu_us"]),
        "; ".join(judge(row, measured, server)),
    ]
    return f"| {' | '.join(cells)} |"


def tables(results: dict) -> str:
    """A table for each server, a row for each work."""
    known = {row.name: row for row in rows.ROWS}
    lines = []
    for server, all_measured in results["servers"].items():
        lines += [f"### {TITLES[server]}", "",
                  "| work | floor | DPFS | floor p50 µs (spinning) | DPFS p50 µs "
                  "| floor CPU µs | DPFS CPU µs | DPFS against its goals |",
                  f"| --- |{' ---: |' * 6} --- |"]  # fmt: skip
        lines += [_line(known[one["row"]], one, server) for one in all_measured]
        lines.append("")
    return "\n".join(lines)
