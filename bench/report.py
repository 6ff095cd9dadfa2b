"""Results of bench/compare as a Markdown table."""

from __future__ import annotations

import rows


def _rate(result: dict) -> float:
    return result["operations_per_s"]["median"]


def _figure(result: dict, name: str) -> float | None:
    """A figure by the name that rows.Limit has for it."""
    if name == "p50_us":
        return result["latency_ns"]["p50"] / 1000
    if name in ("user_us", "system_us"):
        value = result["server"][name.replace("_us", "_ns")]
        return None if value is None else value / 1000
    return result[name]


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _amount(row: rows.Row, result: dict) -> str:
    """Operations a second; of large blocks, bytes."""
    if row.block_size != "4k":
        return f"{_three_digits(result['bytes_per_s'] / 1e9)} GB/s"
    rate = _rate(result)
    return f"{_three_digits(rate / 1000)} k/s" if rate >= 1000 else f"{_three_digits(rate)} /s"


def judge(goal: rows.Goal | rows.Limit, ours: dict, everybody: dict[str, dict]) -> str:
    """The figure beside its goal; what is missed is bold."""
    if isinstance(goal, rows.Limit):
        value = _figure(ours, goal.figure)
        if value is None:
            return f"{goal}: not counted here"
        text = f"{goal.figure} {_three_digits(value)} (≤ {goal.at_most:g})"
        return text if value <= goal.at_most else f"**{text}**"
    others = [_rate(everybody[name]) for name in goal.against if name in everybody]
    if not others:
        return f"{goal}: not measured"
    ratio = _rate(ours) / max(others)
    text = f"{ratio:.2f} × {' or '.join(goal.against)} (≥ {goal.at_least:g})"
    return text if ratio >= goal.at_least else f"**{text}**"


def _cells(row: rows.Row, everybody: dict[str, dict], columns: list[str]) -> list[str]:
    return [_amount(row, everybody[name]) if name in everybody else "–" for name in columns]


def table(results: dict) -> str:
    """A row for each work: what everybody did, and how ours stands to its goals."""
    known = {row.name: row for row in rows.ALL}
    columns = [rows.FLOOR, rows.URING, rows.AIO, *rows.PEERS]
    lines = [f"| work | {' | '.join(columns)} | `uring` against its goals |",
             f"| --- |{' ---: |' * len(columns)} --- |"]  # fmt: skip
    for measured in results["rows"]:
        row = known[measured["row"]]
        everybody = {
            {rows.NULL_FLOOR: rows.FLOOR, rows.NULL: rows.URING}.get(name, name): result
            for name, result in measured["contenders"].items()
        }
        named = {**measured["contenders"], **everybody}
        goals = "; ".join(judge(goal, named[rows.URING], named) for goal in row.goals)
        title = row.title + (" (`null`)" if rows.NULL in row.contenders else "")
        lines.append(f"| {title} | {' | '.join(_cells(row, everybody, columns))} | {goals} |")
    return "\n".join(lines) + "\n"
