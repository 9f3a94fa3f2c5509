"""Files in sections (systemd.syntax(7), NetworkManager's keyfiles), changed without losing a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

_HEADER = re.compile(r"\s*\[([^]]*)\]\s*")
_PAIR = re.compile(r"\s*([^\s#;=\[][^=]*?)\s*=\s*(.*?)\s*", re.DOTALL)

Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """A section with its lines as they are written, the header first; "" is what stands before any header."""

    name: str
    lines: tuple[str, ...]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Keys and values in their order."""
        found = (_pair(line) for line in self.lines)
        return tuple(pair for pair in found if pair)

    def values(self, key: str) -> tuple[str, ...]:
        """All values of a key."""
        return tuple(value for name, value in self.pairs if name == key)

    def replaced(self, drop: Callable[[str, str], bool], put: Pairs) -> Section:
        """Without the pairs that ``drop`` names, and with others: in their place, else after the last one."""
        gone = [index for index, line in enumerate(self.lines) if (pair := _pair(line)) and drop(*pair)]
        kept = [index for index, line in enumerate(self.lines) if line.strip()]
        place = gone[0] if gone else (kept[-1] + 1 if kept else 0)
        added = tuple(f"{key}={value}\n" for key, value in put)
        before = tuple(line for index, line in enumerate(self.lines[:place]) if index not in gone)
        after = tuple(line for index, line in enumerate(self.lines[place:], place) if index not in gone)
        return Section(self.name, (*_ended(before), *added, *after) if added else (*before, *after))


def parse(text: str) -> tuple[Section, ...]:
    """The sections of a file in their order; ``render`` gives the text back."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    for line in _logical(text):
        header = _HEADER.fullmatch(line)
        if header:
            sections.append((header[1], []))
        sections[-1][1].append(line)
    return tuple(Section(name, tuple(lines)) for name, lines in sections if lines)


def render(sections: Iterable[Section]) -> str:
    """The text of sections; a missing end of line before a following one is added."""
    return "".join(_ended([line for section in sections for line in section.lines], last=False))


def section(name: str, pairs: Pairs) -> Section:
    """A new section."""
    return Section(name, (f"[{name}]\n", *(f"{key}={value}\n" for key, value in pairs)))


def _logical(text: str) -> Iterator[str]:
    whole = ""
    for line in text.splitlines(keepends=True):
        whole += line
        comment = whole.lstrip().startswith(("#", ";"))
        if not line.rstrip("\r\n").endswith("\\") or comment:
            yield whole
            whole = ""
    if whole:
        yield whole


def _pair(line: str) -> tuple[str, str] | None:
    found = _PAIR.fullmatch(line)
    return (found[1], found[2].replace("\\\n", " ")) if found else None


def _ended(lines: Iterable[str], *, last: bool = True) -> tuple[str, ...]:
    listed = list(lines)
    count = len(listed) if last else len(listed) - 1
    return tuple(
        line if index >= count or line.endswith("\n") else f"{line}\n" for index, line in enumerate(listed)
    )
