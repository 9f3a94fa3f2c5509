from __future__ import annotations

import os
import random
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.apply.applying import Applier
from dtesx.apply.staging import Staging
from dtesx.mirror import shifting
from dtesx.mirror.chunks import LONGEST, Cutter
from dtesx.mirror.comparing import Comparison
from dtesx.mirror.delta import Segment
from dtesx.mirror.files import FileSender
from dtesx.mirror.packing import Packer
from dtesx.mirror.protection import protected
from dtesx.mirror.scan import Visit
from dtesx.mirror.shifting import WIDTHS, Alignment, Ask, Changed, Search
from dtesx.mirror.sums import SUM, Summer
from dtesx.mirror.tally import Tally
from dtesx.mirror.window import Asker
from dtesx.replication.summing import Summing
from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import Item
from dtesx.wire.operations import Operation
from dtesx.wire.parts import Content
from dtesx.wire.sums import Basis, Sums, SumsRequest

KIB = 1 << 10
SUMMER = Summer(b"")


@dataclass
class Target:
    """The target's directory, and what is on its way there: dealt with only when an answer is waited for."""

    path: Path
    sent: int = 0
    asked: int = 0
    frames: deque[SumsRequest | tuple[list[Operation], bytes]] = field(default_factory=deque)
    answers: deque[Sums] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.fd = os.open(self.path, os.O_RDONLY)
        self.staging = Staging()
        self.summing = Summing(lambda _root: self.fd, SUMMER, self.staging)
        self.applier = Applier(
            self.fd,
            lambda path, reason: pytest.fail(f"{path!r}: {reason}"),
            hold=lambda _full, reason: pytest.fail(reason),
            beside=lambda _move_to: pytest.fail("nothing is moved"),
            protection=protected,
            adopt=lambda directory, name, basis: self.staging.adopt((0, directory, name), basis),
        )

    def close(self) -> None:
        self.applier.close()
        self.summing.close()
        self.staging.clear()
        os.close(self.fd)

    def send(self, operations: list[Operation], blob: list[Content]) -> None:
        content = b"".join(map(bytes, blob))
        self.sent += len(content)
        self.frames.append((operations, content))

    def ask(self, request: SumsRequest) -> None:
        self.asked += request.length
        self.frames.append(request)

    def answer(self, wait: bool) -> Sums | None:
        while wait and not self.answers:
            self.serve()
        return self.answers.popleft() if self.answers else None

    def serve(self) -> None:
        if self.frames:
            frame = self.frames.popleft()
            if isinstance(frame, SumsRequest):
                self.summing.ask(frame)
            else:
                self.applier.apply(frame[0], memoryview(frame[1]))
        if self.summing.asked:
            self.answers.append(self.summing.answer())


def item(fd: int, name: bytes) -> Item:
    status = os.stat(name, dir_fd=fd)
    return Item(name, status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_size)


def mirrored(old: bytes, new: bytes) -> Target:
    """Make the target's file, which is ``old``, ``new``."""
    with tempfile.TemporaryDirectory() as work:
        here, there = Path(work, "source"), Path(work, "target")
        for directory, data in ((here, new), (there, old)):
            directory.mkdir()
            (directory / "file").write_bytes(data)
        target, source = Target(there), os.open(here, os.O_RDONLY)
        packer, tally = Packer(target.send), Tally()
        comparison = Comparison(
            Asker(0, SUMMER, target.ask, target.answer),
            FileSender(packer, tally, lambda: None, lambda: comparison.let_begin(), kept=False),
            packer,
            tally,
            in_place=False,
            kept=False,
            bounded=False,
            replaced=lambda _directory, _item: None,
            failed=lambda _directory, _item, error: pytest.fail(str(error)),
            pause=lambda: None,
        )
        try:
            visit = Visit(b"", source, True, iter(()), os.fstat(source))
            comparison.add(visit, item(source, b"file"), item(target.fd, b"file"))
            comparison.settle()
            packer.flush()
            while target.frames or target.summing.asked:
                target.serve()
        finally:
            target.close()
            os.close(source)
        right = (there / "file").read_bytes() == new
    assert right
    return target


Edit = tuple[str, float, int]
kinds = st.sampled_from(["insert", "remove", "move", "repeat", "overwrite", "zero"])
edits = st.lists(st.tuples(kinds, st.floats(0, 1), st.integers(1, 700 * KIB)), max_size=5)


def edited(old: bytes, changes: list[Edit], dice: random.Random) -> tuple[bytes, int]:
    """The file after some edits, and how much of it is new."""
    new, added = old, 0
    for kind, share, length in changes:
        at = int(share * len(new))
        part = new[at : at + length]
        if kind == "insert":
            new, added = new[:at] + dice.randbytes(length) + new[at:], added + length
        elif kind == "overwrite":
            new, added = new[:at] + dice.randbytes(len(part)) + new[at + length :], added + length
        elif kind == "zero":
            new = new[:at] + bytes(len(part)) + new[at + length :]
        elif kind == "remove":
            new = new[:at] + new[at + length :]
        elif kind == "repeat":
            new = new[:at] + part + new[at:]
        else:
            new = part + new[:at] + new[at + length :]
    return new, added


@given(st.integers(300 * KIB, 6000 * KIB), edits, st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_any_edits_are_carried_out(size: int, changes: list[Edit], seed: int) -> None:
    dice = random.Random(seed)
    old = dice.randbytes(size)
    new, _ = edited(old, changes, dice)
    mirrored(old, new)


@pytest.mark.parametrize("places", [[0], [5_000_000], [3_000_001, 3_100_000], [*range(0, 24 << 20, 700_000)]])
@pytest.mark.parametrize("length", [1, 1000, -1000, 300_000, -300_000])
def test_what_is_sent_is_hardly_more_than_what_is_new(places: list[int], length: int) -> None:
    old = random.Random(1).randbytes(24 << 20)
    changes = [("insert" if length > 0 else "remove", place / len(old), abs(length)) for place in places]
    new, added = edited(old, changes, random.Random(2))
    target = mirrored(old, new)
    assert target.sent <= added + 2 * LONGEST * (len(places) + 1)
    assert target.asked <= 4 * len(new) + 40 * len(places) * WIDTHS[0]


def test_a_far_insertion_is_found_in_a_large_file() -> None:
    old = random.Random(1).randbytes(40 << 20)
    inserted = random.Random(2).randbytes(20 << 20)
    target = mirrored(old, inserted[:1000] + old[: 12 << 20] + inserted + old[12 << 20 :])
    assert target.sent < len(inserted) + 200 * KIB


@pytest.mark.parametrize("place", [100_000, 20 << 20, (20 << 20) + 9])
def test_parts_that_change_places_or_come_twice_do_not_travel(place: int) -> None:
    old = random.Random(1).randbytes(40 << 20)
    for new in (old[place:] + old[:place], old[place:] * 2, old[:place] * 2):
        assert mirrored(old, new).sent <= 3 * LONGEST


def test_nothing_is_looked_for_any_more_when_nothing_is_ever_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifting, "WIDTHS", (512 * KIB, 2 << 20))
    monkeypatch.setattr(shifting, "GIVE_UP", 2)
    size = 24 << 20
    target = mirrored(random.Random(1).randbytes(size), random.Random(2).randbytes(size))
    assert target.sent == size
    assert target.asked <= size + 2 * 2 * (3 << 20)


@contextmanager
def stored(content: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.fileno()


def search(new: bytes, old: bytes, ask: Ask | None = None) -> Alignment:
    """Where the content of a file from its beginning on is in the target's."""
    basis, cutter = Basis(1, len(old), 1), Cutter(SUMMER)
    with stored(new) as ours, stored(old) as theirs:

        def tell(segment: Segment) -> Callable[[], Sums]:
            data = cutter.read(theirs, segment.offset, segment.length)
            lengths = cutter.lengths(data)
            sums = Sums(1, basis, fine=b"".join(cutter.sums(data, lengths)), chunks=tuple(lengths))
            return lambda: sums

        alignment = Alignment()
        size = len(new)
        found = Search(ours, size, basis, ask=ask or tell, cutter=Cutter(SUMMER), pause=lambda: None)
        found.realign(alignment, 0, size)
    return alignment


def test_content_that_is_there_often_tells_nothing() -> None:
    part = random.Random(1).randbytes(200 * KIB)
    assert search(bytes(1 << 20), bytes(1 << 20) + part).failures == 1
    assert search(bytes(1 << 20) + part, bytes(3 << 19) + part).shift == 1 << 19


def test_what_is_where_it_was_is_no_shift() -> None:
    part = random.Random(1).randbytes(200 * KIB)
    assert search(part, part).failures == 1
    assert search(part + b"x" + part[::-1], part + part[::-1]).shift == -1


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
        search(bytes(2000), bytes(1000), lambda _segment: lambda: answer)
