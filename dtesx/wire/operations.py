"""What a source tells a target to do, as a stream: ``Enter`` names a directory, the rest act in it.

Names are single components; paths are relative to the replication root, components joined by "/",
``b""`` for the root itself. Content of ``Put`` and ``Data`` lies in the frame's blob, in order.
"""

from __future__ import annotations

import msgspec

from dtesx.wire.items import Item
from dtesx.wire.sums import Basis


class Enter(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """The following operations happen in the directory ``path``."""

    path: bytes


class Make(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """Make a directory, symlink, fifo or device; whatever else has the name gives way.

    A directory that exists stays; its metadata come with ``Finish``.
    """

    item: Item


class Put(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """A whole file: ``item.size`` bytes of the blob. ``flags`` are chattr(1) bits."""

    item: Item
    atime_ns: int
    flags: int = 0


class Begin(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """A file that comes in pieces starts; one at a time, until ``End`` or ``Abort``.

    With ``basis``, pieces may be copied from the file that has the name now. With ``in_place``,
    too, that file itself is changed, and what no piece names stays as it is. A new file is made
    ``size`` long at once, so that a file system does not reserve blocks behind each of its pieces.
    """

    name: bytes
    basis: Basis | None = None
    in_place: bool = False
    size: int = 0


class Data(msgspec.Struct, frozen=True, array_like=True, tag=5, gc=False):
    """``length`` bytes of the blob at ``offset`` of the begun file; what no Data names is a hole."""

    offset: int
    length: int


class End(msgspec.Struct, frozen=True, array_like=True, tag=6, gc=False):
    """The begun file is complete: ``item.size`` long, and takes its name."""

    item: Item
    atime_ns: int
    flags: int = 0


class Abort(msgspec.Struct, frozen=True, array_like=True, tag=7, gc=False):
    """The begun file could not be read to its end; forget it."""


class Link(msgspec.Struct, frozen=True, array_like=True, tag=8, gc=False):
    """``name`` becomes a further name of the file at ``path``."""

    name: bytes
    path: bytes


class Adjust(msgspec.Struct, frozen=True, array_like=True, tag=9, gc=False):
    """Metadata only; the content is right. ``flags`` is -1 where they are not known."""

    item: Item
    flags: int = -1


class Remove(msgspec.Struct, frozen=True, array_like=True, tag=10, gc=False):
    """An orphan: remove it with everything below it.

    With ``before`` (mtime, nanoseconds) only files last modified earlier go, and directories that are
    empty then. With ``move_to`` they are moved to that directory, which the target keeps beside the
    root, instead of being removed. With ``protected``, what the last ``Protect`` spares stays.
    """

    name: bytes
    before: int | None = None
    move_to: bytes = b""
    protected: bool = False


class Finish(msgspec.Struct, frozen=True, array_like=True, tag=11, gc=False):
    """The entered directory is complete: give it its metadata (``item.name`` is ignored)."""

    item: Item
    flags: int = -1


class Copy(msgspec.Struct, frozen=True, array_like=True, tag=16, gc=False):
    """``length`` bytes at ``start`` of the basis belong at ``offset`` of the begun file."""

    offset: int
    length: int
    start: int


class Hole(msgspec.Struct, frozen=True, array_like=True, tag=17, gc=False):
    """``length`` bytes at ``offset`` of a file that is changed in place become a hole."""

    offset: int
    length: int


class Moves(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """Names that are elsewhere now: (old path, new path) each, before and after all of the moves.

    What has a new path gives way. Old paths that are not there are passed over. ``number`` is one that
    no other Moves has; nothing else is in its epoch.
    """

    number: int
    pairs: list[tuple[bytes, bytes]]


class WireRule(msgspec.Struct, frozen=True, array_like=True):
    """A rule of a replication set (model.rules); ``path`` may be any bytes."""

    path: bytes
    include: bool
    recursive: bool
    wildcards: bool


class Protect(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """The rules of the set: names that they exclude are spared by every ``Remove`` that asks for it.

    ``root`` is the path of the tree on the source, which absolute rules are about.
    """

    rules: list[WireRule]
    root: bytes


Operation = (
    Enter
    | Make
    | Put
    | Begin
    | Data
    | End
    | Abort
    | Link
    | Adjust
    | Remove
    | Finish
    | Copy
    | Hole
    | Moves
    | Protect
)


class Operations(msgspec.Struct, frozen=True, array_like=True):
    """The table of an operations frame. ``root`` indexes the roots of the handshake."""

    root: int
    operations: list[Operation]
