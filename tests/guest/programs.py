"""Compiles the small programs below programs/ that tests run on the host and in guests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import images

SOURCES = Path(__file__).resolve().parent / "programs"
BUILT = images.IMAGES / "programs"


def build(name: str) -> Path:
    """The static program of programs/NAME.cpp, compiled if it is not up to date."""
    source = SOURCES / f"{name}.cpp"
    program = BUILT / name
    changed = max(file.stat().st_mtime for file in (source, SOURCES / "check.hpp"))
    if program.exists() and program.stat().st_mtime >= changed:
        return program
    BUILT.mkdir(parents=True, exist_ok=True)
    command = ["g++", "-std=c++20", "-O1", "-static", "-pthread", "-Wall", "-Wextra", "-Werror"]
    done = subprocess.run(
        [*command, "-o", program, source], text=True, capture_output=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"{source.name} does not compile:\n{done.stderr}")
    return program
