"""btrfs subvolumes, from ``btrfs subvolume list``, which has no JSON in the versions of today's servers."""

from __future__ import annotations

import re

from dtesx.model.storage import Subvolume

# -a puts this before paths that do not lie below the directory that was asked for.
_TOP = "<FS_TREE>/"
_LINE = re.compile(r"ID (\d+) .*? path (.*)")
_DEFAULT = re.compile(r"ID (\d+) ")
_TOP_ID = 5


def parse_subvolumes(listed: str, snapshots: str, default: str) -> tuple[Subvolume, ...]:
    """What ``btrfs subvolume`` says: ``list -a``, the same with ``-s`` (only snapshots), ``get-default``."""
    taken = {number for number, _ in _lines(snapshots)}
    marked = _DEFAULT.match(default)
    chosen = int(marked[1]) if marked else _TOP_ID
    return tuple(
        Subvolume(number, path, snapshot=number in taken, default=number == chosen)
        for number, path in _lines(listed)
    )


def _lines(text: str) -> list[tuple[int, str]]:
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return [(int(match[1]), match[2].removeprefix(_TOP)) for match in found if match]
