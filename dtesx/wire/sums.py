"""Comparing a file on both sides by the sums of its blocks: what is asked, and what is answered."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Blocks = Annotated[tuple[int, ...], msgspec.Meta(max_length=1 << 12)]
_Fine = Annotated[bytes, msgspec.Meta(max_length=256 << 10)]


ANY = 0
"""The inode in a Basis of a file that is not there yet: whichever has the name then."""


class Basis(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The target's file in the state in which it was compared; changes are made to this one only."""

    inode: int
    size: int
    mtime_ns: int


class SumsRequest(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Compare ``length`` bytes at ``offset`` of a file with the source's, block by block.

    ``sums`` are those of the source's blocks, one after the other; without any, the source has a
    hole there. The target's content for it is ``shift`` bytes further on in its file. ``number`` comes
    back with the answer; answers come in the order of the requests. ``stage`` says that the file, if it
    differs, will be made anew from what was compared: the target may begin to do so while it reads.
    With ``chunks``, nothing is compared: the part is to be told as chunks cut by content.
    """

    root: int
    number: int
    directory: bytes
    name: bytes
    offset: int
    length: int
    sums: bytes
    shift: int = 0
    stage: bool = False
    chunks: bool = False


class Sums(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which of the blocks asked for differ on the target.

    ``fine`` are the sums of the pieces of each differing block, as far as the target's file goes,
    in one row. ``basis`` is None where the target has no such file or cannot read it. A hole counts
    as one block, which differs when the target has anything but zeros there. ``staged`` says that the
    file which is made anew has the target's content there by now: only what differs is to be sent.
    ``chunks`` are the lengths of the chunks that were asked for, ``fine`` their sums then.
    """

    number: int
    basis: Basis | None = None
    differing: _Blocks = ()
    fine: _Fine = b""
    staged: bool = False
    chunks: tuple[int, ...] = ()
