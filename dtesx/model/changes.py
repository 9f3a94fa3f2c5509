"""What is known to have changed on a source: hints where to look, never what is to be done."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag

from dtesx.model.paths import join, split
from dtesx.model.spans import Spans, merge


class Touch(IntFlag):
    """What may have happened to a name.

    APPEARED: it was made, linked or moved here, so that it may stand for another file than before,
    or for a whole tree. REPLACED: that may not show, for two files that were written at the same time may
    have the same size and times.
    """

    METADATA = 1
    CONTENT = 2
    APPEARED = 4
    REPLACED = 8


ANYTHING = Touch.METADATA | Touch.CONTENT | Touch.APPEARED

Names = dict[bytes, dict[bytes, Touch]]
"""Names by their directory, whose path is relative to the root."""


@dataclass
class Changes:
    """What changed below one root since the last time. ``everything``: it is not known what did.

    ``spans`` are, by path, the parts of files that may have other content; of a name that has CONTENT
    and no spans it may be all. ``inodes`` are files that may have other content, too, and are in use without
    a name that the kernel knows. ``moved`` are the old and the new path of what was renamed, in the tree
    as it was and as it is. ``blurred``: more changed than could be kept apart, so that names that
    appeared stand for changes anywhere below them, and ``everything`` for the rest.
    """

    names: Names = field(default_factory=dict)
    spans: dict[bytes, Spans] = field(default_factory=dict)
    inodes: set[int] = field(default_factory=set)
    moved: list[tuple[bytes, bytes]] = field(default_factory=list)
    everything: bool = False
    blurred: bool = False

    def touch(self, directory: bytes, name: bytes, touch: Touch) -> None:
        """Add what happened to a name."""
        names = self.names.setdefault(directory, {})
        names[name] = names.get(name, Touch(0)) | touch

    def add(self, later: Changes) -> None:
        """Add what happened later."""
        if later.moved:
            # Two rows of moves are not one; what was moved is among the names, too.
            self.moved = [] if any(self.names.values()) else list(later.moved)
        self.everything |= later.everything
        self.blurred |= later.blurred
        self.inodes |= later.inodes
        for path, spans in later.spans.items():
            if path in self.spans or Touch.CONTENT not in self._touch(path):
                self.spans[path] = merge((*self.spans.get(path, ()), *spans))
        for directory, names in later.names.items():
            self.names.setdefault(directory, {})
            for name, touch in names.items():
                path = join(directory, name)
                if Touch.CONTENT in touch and path not in later.spans:
                    self.spans.pop(path, None)
                self.touch(directory, name, touch)

    def _touch(self, path: bytes) -> Touch:
        directory, name = split(path)
        return self.names.get(directory, {}).get(name, Touch(0))

    def __bool__(self) -> bool:
        return self.everything or bool(self.names) or bool(self.inodes)
