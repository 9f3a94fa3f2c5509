"""Files of shell assignments (ifcfg), changed without losing a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(\w+)=(.*?)\s*")


def values(text: str) -> dict[str, str]:
    """The variables; of several assignments the last counts."""
    found = (_ASSIGNMENT.fullmatch(line) for line in text.splitlines())
    return {pair[1]: _unquoted(pair[2]) for pair in found if pair}


def replaced(
    text: str, drop: Callable[[str], bool], put: Iterable[tuple[str, str]], *, quote: str = ""
) -> str:
    """Without the variables that ``drop`` names, and with others: in their place, else at the end."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    gone = [n for n, line in enumerate(lines) if (found := _ASSIGNMENT.fullmatch(line)) and drop(found[1])]
    place = gone[0] if gone else len(lines)
    added = [f"{key}={quote}{value}{quote}\n" for key, value in put]
    before = [line for n, line in enumerate(lines[:place]) if n not in gone]
    return "".join([*before, *added, *(line for n, line in enumerate(lines[place:], place) if n not in gone)])


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        return value[1:].partition(value[0])[0]
    return re.split(r"\s+#", value, maxsplit=1)[0]
