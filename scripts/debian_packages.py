"""Debian packages of any suite, fetched and unpacked: installs nothing.

Packages come from the Debian mirror which this machine's own apt uses, through a private apt
configuration: the machine's sources, lists and package state are read at most, never changed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


class Failure(Exception):
    """Ends the program with one line on standard error."""


def output_of(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Runs a command; its standard output, or Failure with the end of what it said."""
    done = subprocess.run(command, env=env, text=True, capture_output=True)
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).strip()[-2000:]
        raise Failure(f"{shlex.join(map(str, command))} exited {done.returncode}:\n{tail}")
    return done.stdout


# ---------------------------------------------------------------- the machine's apt sources


@dataclass
class Source:
    """One apt source as the machine has it: where packages are, and who signs for them."""

    uri: str
    suites: list[str]
    components: list[str]
    options: dict[str, str] = field(default_factory=dict)

    def serves_bookworm_main(self) -> bool:
        return "bookworm" in self.suites and "main" in self.components

    def looks_like_debian(self) -> bool:
        """Third parties may call a suite 'bookworm' too: Debian's own is told apart by its
        archive path or its key."""
        path = self.uri.rstrip("/").rsplit("/", 1)[-1]
        return path == "debian" or "debian-archive" in self.options.get("Signed-By", "")


def sources_of_one_line_file(text: str) -> Iterator[Source]:
    """Parses sources.list: deb [option=value …] URI SUITE COMPONENT…"""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line)
        if not match:
            continue
        raw_options = dict(o.split("=", 1) for o in (match[1] or "").split() if "=" in o)
        names = {"signed-by": "Signed-By", "trusted": "Trusted"}
        options = {names[k]: v for k, v in raw_options.items() if k in names}
        yield Source(match[2], [match[3]], match[4].split(), options)


def sources_of_deb822_file(text: str) -> Iterator[Source]:
    """Parses NAME.sources: paragraphs of 'Field: value', continued on indented lines."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().title()  # field names are not case-sensitive
                fields[name] = value.strip()
        if "deb" not in fields.get("Types", "").split() or fields.get("Enabled", "yes").lower() == "no":
            continue
        options = {k: fields[k] for k in ("Signed-By", "Trusted") if k in fields}
        for uri in fields.get("Uris", "").split():
            yield Source(
                uri, fields.get("Suites", "").split(), fields.get("Components", "").split(), options
            )


def machine_sources(etc_apt: Path) -> Iterator[Source]:
    """Every package source that apt reads on this machine."""
    files = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        if file.suffix == ".sources":
            yield from sources_of_deb822_file(file.read_text())
        elif file.suffix == ".list":
            yield from sources_of_one_line_file(file.read_text())


def choose_debian(sources: Iterable[Source]) -> Source:
    """The entry that gives this machine bookworm main."""
    candidates = [s for s in sources if s.serves_bookworm_main()]
    candidates = [s for s in candidates if not s.uri.startswith("cdrom:")]
    for source in candidates:
        if source.looks_like_debian():
            return source
    if candidates:
        return candidates[0]
    raise Failure("no entry for bookworm main in /etc/apt/sources.list or /etc/apt/sources.list.d")


# ---------------------------------------------------------------------------- a private apt


class PrivateApt:
    """apt with sources, lists, cache and package state of its own, below `home`.

    Its package state is empty, so the dependencies of a package are the complete set of what
    that package needs, whatever this machine has installed.
    """

    def __init__(self, home: Path, suites: list[str], say: Callable[[str], None]) -> None:
        self.home = home
        self.suites = suites
        self.say = say
        self.environment = dict(os.environ, APT_CONFIG=str(home / "apt.conf"), LC_ALL="C")
        self.fresh = False

    def update(self) -> None:
        """Writes the configuration and fetches the package lists, once in a run."""
        if self.fresh:
            return
        source = choose_debian(machine_sources(Path("/etc/apt")))
        self.say(f"package lists of {' and '.join(self.suites)} from {source.uri}")
        for folder in ("lists/partial", "cache/archives/partial"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        (self.home / "status").touch()
        self._write_sources(source)
        self._write_configuration()
        output_of("apt-get", "update", env=self.environment)
        self.fresh = True

    def _write_sources(self, source: Source) -> None:
        fields = {
            "Types": "deb",
            "URIs": source.uri,
            "Suites": " ".join(self.suites),
            "Components": "main",
            **source.options,
        }
        text = "".join(f"{name}: {value}\n" for name, value in fields.items())
        (self.home / "debian.sources").write_text(text)

    def _write_configuration(self) -> None:
        """Takes over the machine's Acquire settings (proxies, retries), but none of its hooks."""
        dump = output_of("apt-config", "dump").splitlines()
        kept = [line for line in dump if re.match(r"Acquire::(?!IndexTargets)", line)]
        paths = {
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::sourcelist": self.home / "debian.sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::lists": self.home / "lists",
            "Dir::State::status": self.home / "status",
            "Dir::Cache": self.home / "cache",
            # Debian's sandbox user may not be able to reach a checkout in a home directory.
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        lines = kept + [f'{name} "{value}";' for name, value in paths.items()]
        (self.home / "apt.conf").write_text("\n".join(lines) + "\n")

    def field_of(self, package: str, suite: str, name: str) -> str:
        text = output_of(
            "apt-cache", "show", "--no-all-versions", "-t", suite, package, env=self.environment
        )
        match = re.search(rf"^{name}: (.*)$", text, re.MULTILINE)
        if not match:
            raise Failure(f"package {package} in {suite} has no field {name}")
        return match[1]

    def fetch(self, packages: Iterable[str], suite: str, with_dependencies: bool) -> list[Path]:
        """Downloads packages; the .deb files."""
        archives = self.home / "cache" / "archives"
        install = ["apt-get", "install", "-y", "--no-install-recommends", "-t", suite]
        # An empty archive folder: apt does not print what it already has.
        uris = output_of(
            *install, "-o", f"Dir::Cache::archives={self.home}/none/", "--print-uris", *packages,
            env=self.environment,
        )  # fmt: skip
        # Lines read: 'URI' FILE SIZE HASH
        files = re.findall(r"^'[^']+' (\S+) \d+", uris, re.MULTILINE)
        if not with_dependencies:
            files = [f for f in files if f.split("_")[0] in packages]
        missing = [f for f in files if not (archives / f).exists()]
        if missing:
            self.say(f"downloading {len(missing)} packages")
        if with_dependencies:
            output_of(*install, "--download-only", *packages, env=self.environment)
        elif missing:
            command = ["apt-get", "download", "-t", suite, *packages]
            done = subprocess.run(
                command, env=self.environment, cwd=archives, text=True, capture_output=True
            )
            if done.returncode != 0:
                raise Failure(f"{shlex.join(command)}: {done.stderr.strip()[-2000:]}")
        return [archives / f for f in files]


def unpack(package: Path, target: Path, *members: str) -> None:
    """Unpacks a .deb (or only the members that match) without running anything of it."""
    target.mkdir(parents=True, exist_ok=True)
    reader = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    # /bin and /lib are links into /usr in the full root; the packages still ship folders.
    command = ["tar", "-x", "-C", str(target), "--keep-directory-symlink", "--numeric-owner"]
    if members:
        command += ["--wildcards", "--no-anchored", *members]
    writer = subprocess.run(command, stdin=reader.stdout, capture_output=True, text=True)
    assert reader.stdout is not None
    reader.stdout.close()
    reader.wait()
    unmatched = "Not found in archive"
    if writer.returncode != 0 and not (members and unmatched in writer.stderr):
        raise Failure(f"unpacking {package.name}: {writer.stderr.strip()[-1000:]}")
