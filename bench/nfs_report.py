"""Results of bench/nfs as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable

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


def _both(name: str, text: str, figures: dict[str, float], good: Callable[[float], bool]) -> str:
    """What daemon and client reach of one goal; what misses it is bold."""
    said = [f"{who} " + _judged(text.format(value), good(value)) for who, value in figures.items()]
    return ", ".join(said) + f" ({name})"


def judge(row: rows.Row, measured: dict, server: str) -> str:
    """Each goal's figures beside the goal."""
    everybody, shares = measured["contenders"], measured["shares"]
    names = {"daemon": (rows.DPFS, rows.SLEEPING_DPFS)}
    if row.is_on_one_file:
        names["client"] = (rows.CLIENT, rows.SLEEPING_CLIENT)
    said = []
    if row.share_min is not None:
        share_min = row.share_min
        said.append(_both(f"≥ {share_min:g} × floor", "{:.2f}",
                          {who: shares[polls] for who, (polls, _) in names.items()},
                          lambda share: share >= share_min))  # fmt: skip
    if row.delay_us_max is not None:
        delay_max = row.delay_us_max
        floor = everybody[rows.SPINNING_FLOOR]["p50_us"]
        said.append(_both(f"≤ {delay_max:g} µs", "{:+.1f}",
                          {who: everybody[polls]["p50_us"] - floor
                           for who, (polls, _) in names.items()},
                          lambda delay: delay <= delay_max))  # fmt: skip
    if row.cpu_us_max is not None:
        cpu_max = row.cpu_us_max
        floor = everybody[rows.FLOOR]["cpu_us"]
        said.append(_both(f"≤ {cpu_max:g} µs of CPU", "{:+.1f}",
                          {who: everybody[sleeps]["cpu_us"] - floor
                           for who, (_, sleeps) in names.items()},
                          lambda cpu: cpu <= cpu_max))  # fmt: skip
    if row.rate_min is not None and server == rows.FAKE:
        rate_min = row.rate_min
        said.append(_both(f"≥ {rate_min / 1000:g} k/s", "{:.0f}",
                          {who: everybody[polls]["rate"] / 1000
                           for who, (polls, _) in names.items()},
                          lambda rate: rate * 1000 >= rate_min))  # fmt: skip
    return "; ".join(said)


def _line(row: rows.Row, measured: dict, server: str) -> str:
    everybody = measured["contenders"]

    def cell(name: str, figure: str) -> str:
        return _three_digits(everybody[name][figure]) if name in everybody else "–"

    spinning = rows.SPINNING_FLOOR
    floor_p50 = cell(rows.FLOOR, "p50_us")
    if spinning in everybody:
        floor_p50 += f" ({cell(spinning, 'p50_us')})"
    cells = [
        row.title,
        *(_amount(row, everybody[name]) if name in everybody else "–"
          for name in (rows.FLOOR, rows.CLIENT, rows.DPFS)),
        floor_p50, cell(rows.CLIENT, "p50_us"), cell(rows.DPFS, "p50_us"),
        cell(rows.FLOOR, "cpu_us"), cell(rows.SLEEPING_CLIENT, "cpu_us"),
        cell(rows.SLEEPING_DPFS, "cpu_us"),
        judge(row, measured, server),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def tables(results: dict) -> str:
    """A table for each server, a row for each work."""
    known = {row.name: row for row in rows.ROWS}
    lines = []
    for server, all_measured in results["servers"].items():
        lines += [f"### {TITLES[server]}", "",
                  "| work | floor | client | daemon | floor p50 µs (spinning) | client | daemon "
                  "| floor CPU µs | client | daemon | goals |",
                  f"| --- |{' ---: |' * 9} --- |"]  # fmt: skip
        lines += [_line(known[one["row"]], one, server) for one in all_measured]
        lines.append("")
    return "\n".join(lines)
