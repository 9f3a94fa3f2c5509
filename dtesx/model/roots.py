"""What the two ends of a mirror know of a replication root, to tell whether it is still the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceRoot:
    """A root as a mirror finds it on its source.

    ``path`` is for people: bytes that are no UTF-8 are escaped. ``inode`` and ``file_system``
    (mirror.roots says what it is made of) tell the directory from others. ``names`` counts what it
    holds itself, not what is below that. ``mounts`` are the paths below it at which other file
    systems are mounted that travel with it, or did.
    """

    path: str
    inode: int
    file_system: str
    names: int
    mounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplicaRoot:
    """A root on its target: its real path, whether it holds nothing, and what the last mirror to it saw."""

    path: bytes
    empty: bool
    last: SourceRoot | None = None
