from __future__ import annotations

import stat

import pytest

from dtesx.mirror.packing import FRAME_BLOB, Packer, TooLarge
from dtesx.wire.frames import MAX_TABLE
from dtesx.wire.items import Item
from dtesx.wire.messages import encode
from dtesx.wire.operations import Enter, Operation, Operations, Put, Remove
from dtesx.wire.parts import Content

Frames = list[tuple[list[Operation], list[Content]]]


def packer() -> tuple[Packer, Frames]:
    frames: Frames = []
    return Packer(lambda operations, blob: frames.append((operations, blob))), frames


def put(size: int) -> Put:
    return Put(Item(b"f", stat.S_IFREG, 0, 0, 0, size), 0)


def test_small_things_share_a_frame_and_a_directory_is_named_once() -> None:
    packing, frames = packer()
    for _ in range(3):
        packing.add(b"d", put(10), bytes(10))
    packing.add(b"e", Remove(b"x"))
    assert frames == []
    packing.flush()
    packing.flush()
    assert frames == [([Enter(b"d"), put(10), put(10), put(10), Enter(b"e"), Remove(b"x")], [bytes(10)] * 3)]


def test_every_frame_says_where_it_is_and_stays_small() -> None:
    packing, frames = packer()
    for _ in range(5):
        packing.add(b"d", put(FRAME_BLOB // 2), bytes(FRAME_BLOB // 2))
    packing.flush()
    assert [len(blob) for _, blob in frames] == [2, 2, 1]
    assert all(operations[0] == Enter(b"d") for operations, _ in frames)


def test_long_tables_are_split() -> None:
    packing, frames = packer()
    for number in range(20_000):
        name = b"%0100d" % number
        packing.add(b"d", Remove(name), names=len(name))
    packing.flush()
    assert len(frames) > 2
    assert all(len(encode(Operations(0, operations))[1]) < MAX_TABLE // 4 for operations, _ in frames)


def test_what_never_fits_is_refused_and_the_rest_travels() -> None:
    packing, frames = packer()
    with pytest.raises(TooLarge):
        packing.add(b"d", put(0), xattrs=((b"user.x", bytes(MAX_TABLE)),))
    packing.add(b"d", Remove(b"x"))
    packing.flush()
    assert frames == [([Enter(b"d"), Remove(b"x")], [])]
