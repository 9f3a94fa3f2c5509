"""A mirror of a whole tree in pieces, between which other changes of the tree may be mirrored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dtesx.mirror.diff import Links
from dtesx.mirror.partial import walk_changed
from dtesx.mirror.scan import Visit, WalkOptions
from dtesx.mirror.walking import walk
from dtesx.model.changes import Changes

Walk = Callable[[int, WalkOptions], Iterator[Visit]]
"""Visits directories of the tree behind a descriptor."""


@dataclass(frozen=True)
class Piece:
    """What is mirrored of a tree that is mirrored in pieces.

    ``walk`` visits the directories of the piece (None: what changed); ``links`` are known to all pieces.
    Files with several names are left out (``defers``) until all their names are known, for they are one
    file only where all are dealt with together.
    """

    links: Links = field(default_factory=Links)
    walk: Walk | None = None
    defers: bool = False

    def visits(self, root: int, options: WalkOptions, changed: Changes) -> Iterator[Visit]:
        """Visit the directories of the piece."""
        if self.walk is not None:
            return self.walk(root, options)
        return walk(root, options) if changed.everything else walk_changed(root, options, changed.names)
