from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.mirror import Compare, MirrorOptions
from dtesx.model.queue import AutoRemirror, Mixing, WaterMarks
from dtesx.replication.queue.policies import Gate, Mixer, remirror


@given(st.integers(1, 5), st.integers(0, 30), st.integers(0, 30))
def test_so_many_replication_packets_to_one_of_the_mirror(ratio: int, replication: int, mirror: int) -> None:
    mixer: Mixer[tuple[str, int]] = Mixer(Mixing(ratio))
    for number in range(replication):
        mixer.add_replication(("r", number))
    for number in range(mirror):
        mixer.add_mirror(("m", number))
    taken = []
    while (packet := mixer.take()) is not None:
        taken.append(packet)
    for kind, count in (("r", replication), ("m", mirror)):
        assert [packet for packet in taken if packet[0] == kind] == [(kind, n) for n in range(count)]
    kinds = "".join(kind for kind, _ in taken)
    both = kinds[: min(kinds.rfind("r"), kinds.rfind("m"))] if replication and mirror else ""
    assert all(len(run) == ratio for run in both.split("m")[:-1])
    assert "mm" not in both


def test_the_mirror_waits_when_too_much_of_it_is_pending() -> None:
    mixer: Mixer[int] = Mixer(Mixing(pending_mirror=2))
    mixer.add_mirror(1)
    mixer.add_mirror(2)
    assert not mixer.mirror_may_add
    with pytest.raises(ValueError, match="pending"):
        mixer.add_mirror(3)
    assert mixer.take() == 1
    assert mixer.mirror_may_add


def test_the_gate_closes_at_the_high_mark_and_opens_at_the_low_one() -> None:
    gate = Gate(WaterMarks(), memory=1000)
    seen = [(held, gate.update(held), gate.closed) for held in (199, 200, 150, 101, 100, 150, 200)]
    assert seen == [
        (199, False, False),
        (200, True, True),
        (150, False, True),
        (101, False, True),
        (100, True, False),
        (150, False, False),
        (200, True, True),
    ]


@pytest.mark.parametrize("marks", [(10, 20), (10, 10), (0, 0), (101, 5)])
def test_water_marks_are_in_order(marks: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="marks"):
        WaterMarks(*marks)


def test_the_remirror_after_a_reconnection() -> None:
    options = MirrorOptions(newer_only=True, in_place=True)
    again = remirror(options, AutoRemirror(Compare.DATA))
    assert again == MirrorOptions(compare=Compare.DATA, in_place=True)
    assert remirror(options, AutoRemirror(None)) is None
