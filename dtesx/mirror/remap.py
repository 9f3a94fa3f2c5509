"""RemapLink: symlinks that point into the replication set are made to point into the replica, purely."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dtesx.mirror.selection import Scope, Verdict

_SLASH = rb"/+(?:\./+)*"


@dataclass(frozen=True)
class Place:
    """A tree that is mirrored: its path on the source and that of its replica, both absolute.

    ``scope`` is what is mirrored of it (None: all).
    """

    source: bytes
    target: bytes
    scope: Scope | None = None


def remapping(places: Sequence[Place]) -> Callable[[bytes], bytes]:
    """A function that turns the text of a source's symlink into that of the replica's.

    Absolute text that leads into the set, whether to something or to nothing, gets the target's path
    in place of the source's. All else stays as it is: relative text, and what leads out of the set.
    The text alone counts; symlinks on its way are not looked up.
    """
    inner_first = sorted(places, key=lambda place: len(_names(place.source)), reverse=True)
    mapped = [(_leading(place.source), place) for place in inner_first]

    def remap(text: bytes) -> bytes:
        for leading, place in mapped:
            found = leading.match(text)
            inside = _resolved(text[found.end() :]) if found else None
            if found and inside is not None:
                if not _takes(place.scope, inside):
                    return text
                return (place.target.rstrip(b"/") + text[found.end() :]) or b"/"
        return text

    return remap


def _names(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name not in (b"", b".")]


def _leading(path: bytes) -> re.Pattern[bytes]:
    """Matches a text that leads to ``path`` or below it, up to there, however it is written."""
    return re.compile(b"".join(_SLASH + re.escape(name) for name in _names(path)) + rb"(?=/|\Z)")


def _resolved(rest: bytes) -> list[bytes] | None:
    """The names that lead from a place to where ``rest`` ends; None when it leaves the place."""
    inside: list[bytes] = []
    for name in _names(rest):
        if name != b"..":
            inside.append(name)
        elif inside:
            inside.pop()
        else:
            return None
    return inside


def _takes(scope: Scope | None, names: list[bytes]) -> bool:
    """Whether the name may be in the set; what it is on the source is not known here."""
    for at, name in enumerate(names):
        if scope is None:
            return True
        choice = scope.choose(name)
        last = at == len(names) - 1
        if last:
            return not choice.nothing
        if choice.directory is not Verdict.TAKEN:
            return False
        scope = choice.below
    return True
