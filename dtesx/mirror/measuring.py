"""Counting what a mirror has before it, for how far it is."""

from __future__ import annotations

import stat
from collections.abc import Callable

from dtesx.mirror.scan import WalkOptions
from dtesx.mirror.selection import Scope
from dtesx.mirror.tally import Tally
from dtesx.mirror.walking import walk


def measure(root: int, scope: Scope | None, tally: Tally, pause: Callable[[], None]) -> None:
    """Add what is below ``root`` to the totals, quickly; problems are for the mirror to tell."""
    options = WalkOptions(problem=lambda _path, _reason: None, scope=scope, xattrs=False)
    for visit in walk(root, options):
        pause()
        for item in visit.entries:
            if item.mode & 0o170000 == stat.S_IFDIR:
                continue
            tally.files_total += 1
            tally.bytes_total += item.size
