"""Stacks with their counts, as a picture: the wider a frame, the more of the time it took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

WIDTH, ROW, CHARACTER = 1200, 17, 6.6
SMALLEST = 0.0007  # of the whole: narrower frames are left out


@dataclass
class Frame:
    name: str
    count: int = 0
    inner: dict[str, "Frame"] = field(default_factory=dict)

    def add(self, stack: list[str], count: int) -> None:
        self.count += count
        if stack:
            self.inner.setdefault(stack[0], Frame(stack[0])).add(stack[1:], count)

    def depth(self, least: float) -> int:
        return 1 + max((one.depth(least) for one in self.inner.values() if one.count >= least), default=0)


def colour(name: str, layers: dict[str, str]) -> str:
    return next((value for key, value in layers.items() if name.startswith(key)), "#d9d9d9")


def draw(stacks: Counter[tuple[str, ...]], path: Path, title: str, layers: dict[str, str]) -> None:
    """`stacks`: outermost frame first. `layers`: how names begin -> a colour."""
    root = Frame("all")
    for stack, count in stacks.items():
        root.add(list(stack), count)
    least = root.count * SMALLEST
    height = (root.depth(least) + 2) * ROW
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">'
             f'<rect width="100%" height="100%" fill="#ffffff"/>'
             f'<text x="4" y="13" font-size="13">{escape(title)}</text>']  # fmt: skip

    def put(frame: Frame, left: float, level: int) -> None:
        width = WIDTH * frame.count / root.count
        top = height - (level + 1) * ROW
        share = f"{escape(frame.name)}: {100 * frame.count / root.count:.1f} %"
        room = int((width - 4) / CHARACTER)
        label = frame.name if len(frame.name) <= room else frame.name[: max(room - 1, 0)] + "…"
        text = f'<text x="{left + 2:.1f}" y="{top + 12}">{escape(label)}</text>' if room > 3 else ""
        parts.append(f'<g><title>{share}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" '
                     f'height="{ROW - 1}" fill="{colour(frame.name, layers)}"/>{text}</g>')  # fmt: skip
        for one in sorted(frame.inner.values(), key=lambda inner: inner.name):
            if one.count >= least:
                put(one, left, level + 1)
            left += WIDTH * one.count / root.count

    put(root, 0, 0)
    path.write_text("\n".join(parts) + "\n</svg>\n")
