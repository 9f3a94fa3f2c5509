from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.mirror import Compression
from dtesx.wire.compression import Compressor
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import (
    CONNECTION_TYPES,
    HEADER_SIZE,
    MAX_BLOB,
    MAX_GREETING,
    MAX_TABLE,
    Decoder,
    Frame,
    FrameType,
    encode,
    weigh,
)

Content = tuple[FrameType, bytes, bytes]
contents = st.lists(
    st.tuples(st.sampled_from(FrameType), st.binary(max_size=300), st.binary(max_size=300)), max_size=6
)


def greeted() -> Decoder:
    """A decoder in a stream."""
    decoder = Decoder()
    decoder.greeted = True
    return decoder


def feed(decoder: Decoder, data: bytes, step: int) -> list[Frame]:
    frames = []
    while data:
        buffer = decoder.buffer()
        count = min(len(buffer), len(data), step)
        buffer[:count] = data[:count]
        data = data[count:]
        if (frame := decoder.advance(count)) is not None:
            frames.append(frame)
    return frames


def number(kind: FrameType, at: int) -> int:
    return 0 if kind in CONNECTION_TYPES else at


def encoded(content: list[Content], compressor: Compressor | None = None) -> bytes:
    return b"".join(
        bytes(part)
        for at, (kind, table, blob) in enumerate(content, 1)
        for part in encode(kind, number(kind, at), table, [blob], compressor=compressor)[0]
    )


@given(contents, st.integers(1, 400), st.sampled_from(["off", "auto", "1", "19"]))
def test_round_trip_in_any_pieces(content: list[Content], step: int, compress: str) -> None:
    decoder = greeted()
    frames = feed(decoder, encoded(content, Compressor(Compression.parse(compress))), step)
    assert [(f.type, bytes(f.table), bytes(f.blob)) for f in frames] == content
    assert [f.sequence for f in frames] == [number(kind, at) for at, (kind, _, _) in enumerate(content, 1)]
    assert not decoder.partial


def test_a_compressed_frame_is_smaller_and_says_what_it_weighs() -> None:
    compressor = Compressor(Compression(3))
    parts, size = encode(FrameType.OPERATIONS, 7, b"t" * 100, [b"abc" * 5000], compressor=compressor)
    data = b"".join(map(bytes, parts))
    assert len(data) < 500
    (frame,) = feed(greeted(), data, 1000)
    assert (frame.size, frame.sequence, bytes(frame.table)) == (size, 7, b"t" * 100)
    assert bytes(frame.blob) == b"abc" * 5000


@given(st.data())
def test_a_damaged_compressed_frame_is_refused_or_as_long_as_it_says(data: st.DataObject) -> None:
    whole = bytearray(encoded([(FrameType.OPERATIONS, b"", b"abcdef" * 500)], Compressor(Compression(1))))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        frames = feed(greeted(), bytes(whole), 1000)
    except ProtocolError:
        return
    assert all(frame.size == weigh(3000) for frame in frames)


def test_a_compressed_frame_that_swells_is_refused() -> None:
    import zstandard

    for body in (zstandard.compress(bytes(MAX_BLOB * 4)), zstandard.compress(b"abc" * 500) + b"more"):
        header = _header(FrameType.OPERATIONS, 1, 0, 1500, len(body))
        with pytest.raises(ProtocolError):
            feed(greeted(), header + body, 4096)


def _header(kind: int, flags: int, table: int, blob: int, body: int, sequence: int = 1) -> bytes:
    return struct.pack("!4sBBHQIII", b"DTSX", kind, flags, 0, sequence, table, blob, body)


def test_before_the_stream_frames_are_few_and_small() -> None:
    for kind, size in ((FrameType.OPERATIONS, 10), (FrameType.HELLO, MAX_GREETING + 1)):
        with pytest.raises(ProtocolError, match=r"greeting|before the stream"):
            feed(Decoder(), _header(kind, 0, size, 0, size, int(kind not in CONNECTION_TYPES)), 100)
        with pytest.raises(ProtocolError, match=r"greeting|before the stream"):
            feed(Decoder(), _header(kind, 1, size, 0, 10, int(kind not in CONNECTION_TYPES)), 100)
    assert feed(Decoder(), _header(FrameType.HELLO, 0, MAX_GREETING, 0, MAX_GREETING, 0), 100) == []


@given(contents.filter(bool), st.data())
def test_a_truncated_stream_never_gives_a_frame_too_many(content: list[Content], data: st.DataObject) -> None:
    whole = encoded(content)
    cut = data.draw(st.integers(0, len(whole) - 1))
    decoder = greeted()
    frames = feed(decoder, whole[:cut], 50)
    assert len(frames) < len(content)
    received = sum(HEADER_SIZE + len(frame.table) + len(frame.blob) for frame in frames)
    assert decoder.partial == (cut > received)


@given(st.binary(min_size=HEADER_SIZE, max_size=400))
def test_garbage_is_refused_at_the_header(garbage: bytes) -> None:
    with pytest.raises(ProtocolError):
        feed(greeted(), garbage, 1000)


@given(contents.filter(bool), st.data())
def test_a_flipped_bit_raises_or_changes_only_content(content: list[Content], data: st.DataObject) -> None:
    whole = bytearray(encoded(content))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        frames = feed(greeted(), bytes(whole), 1000)
    except ProtocolError:
        return
    assert len(frames) <= len(content)


@pytest.mark.parametrize(
    ("table", "blob", "body"),
    [
        (MAX_TABLE + 1, 0, 0),
        (0, MAX_BLOB + 1, 0),
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (10, 10, 21),
        (10, 10, 19),
    ],
)
def test_impossible_lengths_are_refused_before_memory_is_taken(table: int, blob: int, body: int) -> None:
    with pytest.raises(ProtocolError, match=r"frame (too large|of \d+ bytes)"):
        feed(greeted(), _header(FrameType.OPERATIONS, 0, table, blob, body), 100)


def test_large_content_is_not_copied() -> None:
    blob = bytes(range(256)) * 4096
    parts, size = encode(FrameType.OPERATIONS, 1, b"table", [blob])
    assert parts[1] is blob
    assert weigh(sum(map(len, parts)) - HEADER_SIZE) == size
    (frame,) = feed(greeted(), b"".join(map(bytes, parts)), 300_000)
    assert (bytes(frame.table), bytes(frame.blob)) == (b"table", blob)


def test_oversized_frames_are_not_encoded() -> None:
    with pytest.raises(ValueError, match="too large"):
        encode(FrameType.OPERATIONS, 1, bytes(MAX_TABLE + 1))


@pytest.mark.parametrize(("kind", "sequence"), [(FrameType.HELLO, 1), (FrameType.OPERATIONS, 0)])
def test_a_number_where_none_belongs_and_none_where_one_does(kind: FrameType, sequence: int) -> None:
    with pytest.raises(ProtocolError, match="with sequence"):
        feed(greeted(), b"".join(map(bytes, encode(kind, sequence, b"")[0])), 100)
