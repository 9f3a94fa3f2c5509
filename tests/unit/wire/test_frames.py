from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import HEADER_SIZE, MAX_BLOB, MAX_TABLE, Decoder, Encoder, Frame, FrameType

Content = tuple[FrameType, bytes, bytes]
contents = st.lists(
    st.tuples(st.sampled_from(FrameType), st.binary(max_size=300), st.binary(max_size=300)), max_size=6
)


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


def encoded(content: list[Content]) -> bytes:
    encoder = Encoder()
    return b"".join(encoder.encode(kind, table, [blob]) for kind, table, blob in content)


@given(contents, st.integers(1, 400))
def test_round_trip_in_any_pieces(content: list[Content], step: int) -> None:
    decoder = Decoder()
    frames = feed(decoder, encoded(content), step)
    assert [(f.type, bytes(f.table), bytes(f.blob)) for f in frames] == content
    assert [f.sequence for f in frames] == list(range(1, len(content) + 1))
    assert not decoder.partial


@given(contents.filter(bool), st.data())
def test_a_truncated_stream_never_gives_a_frame_too_many(content: list[Content], data: st.DataObject) -> None:
    whole = encoded(content)
    cut = data.draw(st.integers(0, len(whole) - 1))
    decoder = Decoder()
    frames = feed(decoder, whole[:cut], 50)
    assert len(frames) < len(content)
    assert decoder.partial == (cut > sum(frame.size for frame in frames))


@given(st.binary(min_size=HEADER_SIZE, max_size=400))
def test_garbage_is_refused_at_the_header(garbage: bytes) -> None:
    with pytest.raises(ProtocolError):
        feed(Decoder(), garbage, 1000)


@given(contents.filter(bool), st.data())
def test_a_flipped_bit_raises_or_changes_only_content(content: list[Content], data: st.DataObject) -> None:
    whole = bytearray(encoded(content))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        frames = feed(Decoder(), bytes(whole), 1000)
    except ProtocolError:
        return
    assert len(frames) <= len(content)


@pytest.mark.parametrize(("table", "blob"), [(MAX_TABLE + 1, 0), (0, MAX_BLOB + 1), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_oversized_lengths_are_refused_before_memory_is_taken(table: int, blob: int) -> None:
    header = Encoder().encode(FrameType.HELLO, b"")[:16]
    with pytest.raises(ProtocolError, match="too large"):
        feed(Decoder(), header + table.to_bytes(4, "big") + blob.to_bytes(4, "big"), 100)


def test_oversized_frames_are_not_encoded() -> None:
    encoder = Encoder()
    with pytest.raises(ValueError, match="too large"):
        encoder.encode(FrameType.OPERATIONS, bytes(MAX_TABLE + 1))
    assert encoder.sequence == 0


@pytest.mark.parametrize("order", [[1], [0, 0], [0, 2, 1]])
def test_lost_repeated_and_reordered_frames_are_refused(order: list[int]) -> None:
    encoder = Encoder()
    frames = [encoder.encode(FrameType.CREDIT, b"x") for _ in range(3)]
    with pytest.raises(ProtocolError, match="was due"):
        feed(Decoder(), b"".join(frames[i] for i in order), 1000)
