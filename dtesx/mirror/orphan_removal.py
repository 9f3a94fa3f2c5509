"""Removing what only the target has, and nothing else: a walk beside the target's listing."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterable

import msgspec

from dtesx.mirror.diff import Listings, pair
from dtesx.mirror.orphans import OrphanRule
from dtesx.mirror.packing import Packer
from dtesx.mirror.protection import may_protect, protection
from dtesx.mirror.scan import Visit, WalkOptions
from dtesx.mirror.selection import Scope
from dtesx.mirror.walking import walk
from dtesx.model.mirror import OrphanPolicy
from dtesx.model.paths import join
from dtesx.wire.items import Item
from dtesx.wire.messages import Directory
from dtesx.wire.operations import Finish


class OrphanRemoval:
    """Has the target remove its orphans by ``policy``; the directories they were in keep their times.

    ``root`` is a directory descriptor of the source's tree, ``directories`` the target's listing.
    ``problem`` gets path and reason of what cannot be read here: nothing below it is removed.
    """

    def __init__(
        self,
        root: int,
        directories: Iterable[Directory],
        packer: Packer,
        policy: OrphanPolicy,
        *,
        scope: Scope | None,
        problem: Callable[[bytes, str], None],
        pause: Callable[[], None],
    ) -> None:
        self._root = root
        self._listings = Listings(directories)
        self._packer = packer
        self._rule = OrphanRule(policy, time.time_ns())
        self._walking = WalkOptions(problem=problem, scope=scope, xattrs=False)
        self._pause = pause
        self._theirs: dict[bytes, Item] = {}
        self._changed: set[bytes] = set()

    def run(self) -> None:
        """Walk the tree to its end; every operation has been handed to the packer afterwards."""
        if (own := self._listings.root) is not None:
            self._theirs[b""] = own
        if (protect := protection(self._walking.scope)) is not None:
            self._packer.add(b"", protect, names=sum(len(rule.path) for rule in protect.rules))
        for visit in walk(self._root, self._walking):
            self._pause()
            if visit.entered:
                self._visit(visit)
            else:
                self._leave(visit.path)
        self._listings.drain()
        self._packer.flush()

    def _visit(self, visit: Visit) -> None:
        for source, target in pair(visit.entries, self._listings.take(visit.path)):
            if target is None:
                continue
            if source is None:
                self._orphan(visit, target)
            elif source.kind == target.kind == stat.S_IFDIR:
                self._theirs[join(visit.path, target.name)] = target

    def _orphan(self, visit: Visit, orphan: Item) -> None:
        if visit.spares(orphan) or (removal := self._rule.removal(orphan)) is None:
            return
        if may_protect(visit.scope, removal.name):
            removal = msgspec.structs.replace(removal, protected=True)
        self._packer.add(visit.path, removal, names=len(removal.name) + len(removal.move_to))
        self._changed.add(visit.path)

    def _leave(self, path: bytes) -> None:
        theirs = self._theirs.pop(path, None)
        if path in self._changed and theirs is not None:
            self._changed.remove(path)
            self._packer.add(path, Finish(theirs, -1), xattrs=theirs.xattrs)
