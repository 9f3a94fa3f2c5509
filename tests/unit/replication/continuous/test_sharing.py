from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.changes import Changes, Touch
from dtesx.replication.continuous.sharing import Shared

ROOT = "/data"
NAMES = [b"a", b"b", b"c"]


class Told:
    """Tells one name after the other, or nothing."""

    def __init__(self, told: list[bytes | None]) -> None:
        self._told = iter(told)

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        name = next(self._told, None)
        return {} if name is None else {ROOT: Changes({b"dir": {name: Touch.CONTENT}}, moved=[(name, b"x")])}


@given(
    st.lists(st.one_of(st.none(), st.sampled_from(NAMES)), max_size=20),
    st.lists(st.integers(0, 2), max_size=20),
)
def test_every_reader_is_told_everything(told: list[bytes | None], turns: list[int]) -> None:
    readers = Shared(Told(told), [ROOT], 3, 1 << 20).readers
    seen: list[set[bytes]] = [set(), set(), set()]
    for turn in [*turns, 0, 1, 2]:
        for changes in readers[turn].drain().values():
            seen[turn] |= set(changes.names.get(b"dir", {}))
    expected = {name for name in told[: len(turns) + 1] if name is not None}
    assert all(some >= expected for some in seen)


def test_what_one_does_with_its_changes_is_no_matter_of_the_others() -> None:
    one, other = Shared(Told([b"a"]), [ROOT], 2, 1 << 20).readers
    mine = one.drain()
    before = copy.deepcopy(mine)
    mine[ROOT].names[b"dir"].clear()
    mine[ROOT].moved.clear()
    assert other.drain() == before


def test_what_waits_for_a_reader_is_bounded_and_covers_everything() -> None:
    many = [b"%d" % number for number in range(3000)]
    one, other = Shared(Told([*many]), [ROOT], 2, 20_000).readers
    for _ in many:
        one.drain()
    late = other.drain()[ROOT]
    assert late.everything or late.names[b""][b"dir"] & Touch.APPEARED


def test_nothing_waits_for_a_reader_that_ended() -> None:
    one, other = Shared(Told([b"a"]), [ROOT], 2, 1 << 20).readers
    other.close()
    assert one.drain()
    assert not other.drain()
