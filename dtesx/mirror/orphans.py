"""What becomes of a name that only the target has: the decision, purely."""

from __future__ import annotations

import os
import stat

from dtesx.model.mirror import OrphanAction, OrphanPolicy
from dtesx.wire.items import Item
from dtesx.wire.operations import Remove

_NEVER = -(1 << 63)  # nothing was modified before this


class OrphanRule:
    """A policy at work in one mirror that began at ``now_ns`` (Unix time, nanoseconds)."""

    def __init__(self, policy: OrphanPolicy, now_ns: int) -> None:
        self._keep = policy.action is OrphanAction.KEEP
        self._move_to = os.fsencode(policy.move_to)
        self._before = now_ns - round(policy.older_than * 1e9) if policy.older_than else None

    def removal(self, orphan: Item) -> Remove | None:
        """What the target has to do about an orphan; None when it stays.

        The target looks at the age of files once more: what it listed may have changed since.
        """
        young = self._before is not None and orphan.mtime_ns >= self._before
        if self._keep or (young and orphan.kind != stat.S_IFDIR):
            return None
        return Remove(orphan.name, self._before, self._move_to)

    def make_way(self, directory: Item) -> Remove:
        """What the target has to do about a directory whose name the source gives to something else.

        Its content are orphans; where they are kept, only a directory without files gives way.
        """
        return Remove(directory.name, _NEVER if self._keep else self._before, self._move_to)
