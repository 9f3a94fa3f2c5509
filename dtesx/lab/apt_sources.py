"""Which of the host's package sources are Debian's own: the tree is built from these.

A host may be pointed at a mirror; that mirror is used. Third parties' sources never are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dtesx.base.errors import UsageError
from dtesx.lab.recipe import SUITE

_SUITES = frozenset({SUITE, f"{SUITE}-updates", f"{SUITE}-security", f"{SUITE}/updates"})
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<parts>.+)")


@dataclass(frozen=True)
class AptSource:
    """One archive: ``options`` is what stands between brackets in the one-line style."""

    uri: str
    suite: str
    components: tuple[str, ...]
    options: str = ""

    def line(self) -> str:
        """The one-line style of sources.list(5), component main only."""
        options = f"[{self.options}] " if self.options else ""
        return f"deb {options}{self.uri} {self.suite} main"

    def is_debian(self) -> bool:
        """Whether this is Debian 12 itself: its suites, component main, a path named debian*."""
        last = urlsplit(self.uri).path.rstrip("/").rpartition("/")[2]
        return self.suite in _SUITES and "main" in self.components and last.startswith("debian")


def debian_lines(files: Mapping[str, str]) -> tuple[str, ...]:
    """The Debian sources among sources.list files (name to content); UsageError without the suite's own."""
    found = dict.fromkeys(
        source.line()
        for name, text in sorted(files.items())
        for source in (_deb822(text) if name.endswith(".sources") else _one_line(text))
        if source.is_debian()
    )
    if not any(f" {SUITE} main" in line for line in found):
        raise UsageError(
            f"this host's apt knows no archive of Debian {SUITE}",
            hint=f"add a line for suite {SUITE}, component main, to /etc/apt/sources.list",
        )
    return tuple(found)


def host_files(etc: Path = Path("/etc/apt")) -> dict[str, str]:
    """The host's sources files, by name."""
    paths = [etc / "sources.list", *(etc / "sources.list.d").glob("*.list")]
    paths += (etc / "sources.list.d").glob("*.sources")
    return {path.name: path.read_text(errors="replace") for path in paths if path.is_file()}


def _one_line(text: str) -> Iterator[AptSource]:
    for line in text.splitlines():
        if match := _ONE_LINE.fullmatch(line.partition("#")[0].strip()):
            parts = tuple(match["parts"].split())
            yield AptSource(match["uri"], match["suite"], parts, (match["options"] or "").strip())


def _deb822(text: str) -> Iterator[AptSource]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza.splitlines())
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        key = fields.get("signed-by", "")
        options = f"signed-by={key}" if key.startswith("/") else ""
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield AptSource(uri, suite, tuple(fields.get("components", "").split()), options)


def _fields(lines: Iterable[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            fields[name] = f"{fields.get(name, '')} {line.strip()}".strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
