"""Changes of what never travels, left out where they are told."""

from __future__ import annotations

import os
from collections.abc import Iterable

from dtesx.model.changes import Changes
from dtesx.replication.continuous.consistent import Capture


class Without:
    """What ``capture`` tells of ``roots``, but for what happens at ``path`` (absolute) and below.

    For a place where we write ourselves all the time: or else what we write makes us look, and write.
    """

    def __init__(self, capture: Capture, roots: Iterable[str], path: str) -> None:
        self._capture = capture
        self._below = {root: os.fsencode(os.path.relpath(path, root)) for root in roots}

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        """See ``Capture``."""
        changes = self._capture.drain(still=still)
        for root, some in changes.items():
            leave_out(some, self._below[root])
        return changes


def leave_out(changes: Changes, path: bytes) -> None:
    """Take out the names and spans at ``path`` (relative to the root) and below."""
    above, _, name = path.rpartition(b"/")
    names = changes.names.get(above, {})
    if names.pop(name, None) is not None and not names:
        del changes.names[above]
    changes.spans = {where: spans for where, spans in changes.spans.items() if not _at(where, path)}
    changes.names = {where: names for where, names in changes.names.items() if not _at(where, path)}


def _at(where: bytes, path: bytes) -> bool:
    return (where + b"/").startswith(path + b"/")
