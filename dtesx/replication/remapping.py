"""Which symlinks of a mirror's trees lead into them, as both ends call the trees."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from dtesx.mirror.remap import Place, remapping
from dtesx.mirror.selection import Scope
from dtesx.model.roots import ReplicaRoot


def link_remap(
    roots: Sequence[str], replicas: Sequence[ReplicaRoot], scope: Callable[[str], Scope | None]
) -> Callable[[bytes], bytes]:
    """Turns the text of a symlink of the source into the replica's; ``scope`` gives that of a root.

    A root that is reached through symlinks is known by its real path, too.
    """
    places = [
        Place(os.fsencode(path), os.fsencode(replica.path), scope(root))
        for root, replica in zip(roots, replicas, strict=True)
        for path in dict.fromkeys((root, os.path.realpath(root)))
    ]
    return remapping(places)
