from __future__ import annotations

from dtesx.model.changes import Changes, Touch
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.replication.continuous.pending import Pending

ROOT = "/srv"


def _named(name: bytes) -> dict[str, Changes]:
    changes = Changes()
    changes.touch(b"", name, Touch.METADATA)
    return {ROOT: changes}


def _sent(count: int) -> Pending:
    """A replication that sent epochs 1 to ``count``, each with a name of its own."""
    pending = Pending((ROOT,), 1 << 20)
    for number in range(1, count + 1):
        pending.epoch(EpochKind.FUZZY, float(number), _named(b"%d" % number))
    return pending


def _epoch(number: int) -> Epoch:
    return Epoch(number, EpochKind.FUZZY, float(number))


def _again(pending: Pending) -> set[bytes] | None:
    """The names that are to be sent; None for everything."""
    changes = pending.take()[ROOT]
    return None if changes.everything else set(changes.names.get(b"", ()))


def test_what_the_target_had_not_applied_nor_kept_is_sent_again() -> None:
    pending = _sent(4)
    pending.kept(3)
    pending.resume(_epoch(1), _epoch(3))
    assert (pending.known, pending.latest) == (_epoch(1), _epoch(3))
    assert _again(pending) == {b"4"}
    assert pending.confirm(3)
    assert pending.known == _epoch(3)


def test_what_was_kept_and_discarded_is_not_known_any_more() -> None:
    pending = _sent(4)
    pending.kept(3)
    pending.resume(_epoch(1), _epoch(2))
    assert (pending.known, pending.latest) == (_epoch(1), _epoch(2))
    assert _again(pending) is None


def test_what_was_sent_and_never_kept_is_known_still() -> None:
    pending = _sent(3)
    pending.resume(_epoch(1))
    assert pending.latest == _epoch(1)
    assert _again(pending) == {b"2", b"3"}


def test_a_source_that_knows_nothing_goes_on_after_what_waits() -> None:
    pending = Pending((ROOT,), 1 << 20)
    pending.resume(_epoch(5), _epoch(8))
    assert (pending.known, pending.latest) == (_epoch(5), _epoch(8))
    assert _again(pending) is None
    assert pending.epoch(EpochKind.FUZZY, 9.0, {}).number == 9


def test_a_target_that_has_only_what_waits() -> None:
    pending = Pending((ROOT,), 1 << 20)
    pending.resume(None, _epoch(2))
    assert (pending.known, pending.latest) == (None, _epoch(2))
    assert _again(pending) is None
