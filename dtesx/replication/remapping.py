"""Which symlinks of a mirror's trees lead into them, as both ends call the trees."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from dtesx.mirror.catalogue import digest
from dtesx.mirror.remap import Place, remapping
from dtesx.mirror.selection import Scope
from dtesx.model.roots import ReplicaRoot


class LinkRemap:
    """Turns the text of a symlink of the source into the replica's; ``scope`` gives that of a root.

    A root that is reached through symlinks is known by its real path, too. Two with the same ``mark``
    turn every text into the same.
    """

    def __init__(
        self, roots: Sequence[str], replicas: Sequence[ReplicaRoot], scope: Callable[[str], Scope | None]
    ) -> None:
        places = [
            Place(os.fsencode(path), replica.path, scope(root))
            for root, replica in zip(roots, replicas, strict=True)
            for path in dict.fromkeys((root, os.path.realpath(root)))
        ]
        marks = [(place.source, place.target, place.scope and place.scope.origin) for place in places]
        self.mark = digest(repr(marks).encode())
        self._remap = remapping(places)

    def __call__(self, text: bytes) -> bytes:
        return self._remap(text)
