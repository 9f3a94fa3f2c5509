from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.mirror import shifting
from dtesx.mirror.chunks import LONGEST, Cutter
from dtesx.mirror.delta import Segment
from dtesx.mirror.packing import Packer
from dtesx.mirror.patching import Patch
from dtesx.mirror.shifting import Ask, Changed, Known, Shifting
from dtesx.mirror.sums import SUM, Summer
from dtesx.mirror.tally import Tally
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Content
from dtesx.wire.operations import Begin, Copy, Data, Operation
from dtesx.wire.sums import Basis, Sums

KIB = 1 << 10
SUMMER = Summer(b"")


@contextmanager
def stored(content: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.fileno()


def told(fd: int, basis: Basis) -> Ask:
    """A target that has the file ``fd``."""
    cutter = Cutter(SUMMER)

    def ask(segment: Segment) -> Callable[[], Sums]:
        data = cutter.read(fd, segment.offset, segment.length)
        lengths = cutter.lengths(data)
        sums = Sums(1, basis, fine=b"".join(cutter.sums(data, lengths)), chunks=tuple(lengths))
        return lambda: sums

    return ask


def shift(old: bytes, new: bytes, ask: Ask | None = None) -> tuple[bytes, int]:
    """What the target makes of the operations, and how many bytes travelled."""
    made, sent = bytearray(len(new)), 0

    def send(operations: list[Operation], blob: list[Content]) -> None:
        nonlocal sent
        for operation in operations:
            if isinstance(operation, Copy):
                part = old[operation.start : operation.start + operation.length]
                assert len(part) == operation.length
                made[operation.offset : operation.offset + operation.length] = part
            elif isinstance(operation, Data):
                data = bytes(blob.pop(0))
                made[operation.offset : operation.offset + operation.length] = data
                sent += len(data)
            elif isinstance(operation, Begin):
                assert operation.basis is not None

    packer, tally = Packer(send), Tally()
    with stored(old) as theirs, stored(new) as ours:
        basis = Basis(1, len(old), 1)
        Shifting(
            *(ours, len(new), basis),
            ask=ask or told(theirs, basis),
            cutter=Cutter(SUMMER),
            patch=(patch := Patch(packer, tally, b"", b"f", len(new), in_place=False)),
            pause=lambda: None,
        ).send()
        patch._copy()
        packer.flush()
    return bytes(made), sent


Edit = tuple[str, float, int]
kinds = st.sampled_from(["insert", "remove", "move", "repeat"])
edits = st.lists(st.tuples(kinds, st.floats(0, 1), st.integers(1, 200 * KIB)), max_size=5)


@given(st.integers(0, 3000 * KIB), edits, st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_any_edits_are_carried_out_and_most_is_copied(size: int, changes: list[Edit], seed: int) -> None:
    dice = random.Random(seed)
    old = new = dice.randbytes(size)
    added = 0
    for kind, share, length in changes:
        at = int(share * len(new))
        part = new[at : at + length]
        if kind == "insert":
            new, added = new[:at] + dice.randbytes(length) + new[at:], added + length
        elif kind == "remove":
            new = new[:at] + new[at + length :]
        elif kind == "repeat":
            new = new[:at] + part + new[at:]
        else:
            new = part + new[:at] + new[at + length :]
    made, sent = shift(old, new)
    assert made == new
    assert sent <= added + 6 * LONGEST * (len(changes) + 1)


def test_far_insertions_and_large_files_in_small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifting, "SEGMENT", 512 * KIB)
    monkeypatch.setattr(shifting, "LOOK", 9 << 20)
    old = os.urandom(40 << 20)
    inserted = os.urandom(20 << 20)
    made, sent = shift(old, new := inserted[:1000] + old[: 12 << 20] + inserted + old[12 << 20 :])
    assert made == new
    assert sent < len(inserted) + 200 * KIB


def test_nothing_is_asked_any_more_when_nothing_is_ever_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifting, "SEGMENT", 512 * KIB)
    monkeypatch.setattr(shifting, "LOOK", 512 * KIB)
    monkeypatch.setattr(shifting, "GIVE_UP", 512 * KIB)
    old, new = os.urandom(30 << 20), os.urandom(30 << 20)
    asked: list[Segment] = []
    with stored(old) as fd:
        tell = told(fd, Basis(1, len(old), 1))

        def ask(segment: Segment) -> Callable[[], Sums]:
            asked.append(segment)
            return tell(segment)

        assert shift(old, new, ask) == (new, len(new))
    assert 0 < sum(segment.length for segment in asked) < 12 << 20


def test_only_so_much_is_known() -> None:
    known = Known(most=3)
    for start in range(5):
        known.add(start, b"%d" % start)
        known.add(start + 100, b"%d" % start)
    assert [known.find(b"%d" % start) for start in range(5)] == [None, None, 2, 3, 4]
    known.forget(4)
    assert [known.find(b"%d" % start) for start in range(5)] == [None, None, None, None, 4]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Sums(1), Changed),
        (Sums(1, Basis(2, 1000, 1)), Changed),
        (Sums(1, Basis(1, 1000, 1), chunks=(10,)), ProtocolError),
        (Sums(1, Basis(1, 1000, 1), fine=bytes(SUM), chunks=(0,)), ProtocolError),
        (Sums(1, Basis(1, 1000, 1), fine=bytes(2 * SUM), chunks=(999, 2)), ProtocolError),
        (Sums(1, Basis(1, 1000, 1), fine=bytes(2 * SUM), chunks=(-1, 2)), ProtocolError),
    ],
)
def test_answers_that_do_not_fit(answer: Sums, error: type[Exception]) -> None:
    with pytest.raises(error):
        shift(bytes(1000), bytes(2000), lambda _segment: lambda: answer)
