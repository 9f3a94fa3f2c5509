from __future__ import annotations

from dtesx.model.changes import Changes, Touch
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.replication.continuous.pending import Pending
from dtesx.replication.continuous.slicing import Position

ROOT = "/data"
LIMIT = 100_000


def written(count: int, directory: bytes = b"d") -> dict[str, Changes]:
    return {ROOT: Changes({directory: {b"%d" % number: Touch.CONTENT for number in range(count)}})}


def test_what_waits_for_long_stays_within_its_limit() -> None:
    pending = Pending((ROOT,), LIMIT)
    for number in range(300):
        pending.add(written(100, b"d/%d" % number))
        assert pending.weight <= LIMIT
    assert pending.blurred
    assert not pending.lost_track


def test_what_is_on_its_way_counts_too() -> None:
    pending = Pending((ROOT,), LIMIT)
    for number in range(50):
        pending.add(written(100, b"d/%d" % number))
        pending.epoch(EpochKind.FUZZY, float(number), pending.take())
        assert pending.weight <= LIMIT
    pending.resume(None)
    assert pending.weight <= LIMIT
    assert pending


def test_what_cannot_be_told_apart_at_all_is_everything() -> None:
    pending = Pending((ROOT,), LIMIT)
    pending.add(written(2000, b""))
    assert pending.lost_track
    assert pending.unknown() == [ROOT]
    assert pending.mirror(ROOT)
    assert not pending.unknown()


def test_the_same_names_again_and_again_are_not_too_many() -> None:
    pending = Pending((ROOT,), LIMIT)
    for _ in range(100):
        pending.add(written(100))
    assert not pending.blurred
    assert len(pending.take()[ROOT].names[b"d"]) == 100


def test_lost_slices_are_told_in_their_order_and_confirmed_ones_are_not() -> None:
    pending = Pending((ROOT,), LIMIT)
    positions = [Position(), Position(b"a"), Position(b"b")]
    for position in positions:
        pending.epoch(EpochKind.FUZZY, 0.0, {}, slice_=(ROOT, position))
    reached = Epoch(1, EpochKind.FUZZY, 0.0)
    assert pending.resume(reached) == [(ROOT, Position(b"a")), (ROOT, Position(b"b"))]
    assert pending.resume(reached) == []


def test_the_last_epoch_learns_when_it_was_taken() -> None:
    pending = Pending((ROOT,), LIMIT)
    pending.epoch(EpochKind.FUZZY, 1.0, {})
    assert pending.taken(5.0).taken == 5.0
    pending.confirm(1)
    assert pending.known == Epoch(1, EpochKind.FUZZY, 5.0)
