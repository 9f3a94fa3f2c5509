from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.base.errors import Halted, RootElsewhere, RootEmpty, RootRenamed, RootReplaced
from dtesx.mirror.safety import halt
from dtesx.model.roots import ReplicaRoot, SourceRoot

NOW = SourceRoot("/srv/www", 12, "ab", 3)
SAME = ReplicaRoot(b"/data/www", empty=False, last=NOW)


def test_what_is_the_same_may_be_mirrored() -> None:
    assert halt(NOW, SAME) is None
    assert halt(replace(NOW, names=1), SAME) is None


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"path": "/srv/web"}, RootRenamed),
        ({"file_system": "cd"}, RootElsewhere),
        ({"file_system": "cd", "inode": 2, "names": 0}, RootElsewhere),
        ({"inode": 13}, RootReplaced),
        ({"inode": 13, "names": 0}, RootReplaced),
        ({"names": 0}, RootEmpty),
    ],
)
def test_each_accident_has_its_state(changes: dict[str, str], state: type[Halted]) -> None:
    error = halt(replace(NOW, **changes), SAME)  # type: ignore[arg-type]
    assert type(error) is state
    assert "--rebind" in error.hint
    assert "nothing was deleted" in error.message


def test_what_is_mounted_below_counts_when_it_was_mirrored() -> None:
    last = ReplicaRoot(b"/data/www", empty=False, last=replace(NOW, mounts=("a", "b")))
    assert type(halt(replace(NOW, mounts=("b",)), last)) is RootElsewhere
    assert halt(replace(NOW, mounts=("a", "b", "c")), last) is None


def test_a_first_mirror_goes_to_whatever_is_there() -> None:
    assert halt(NOW, ReplicaRoot(b"/data/www", empty=True)) is None
    assert halt(NOW, ReplicaRoot(b"/data/www", empty=False)) is None


def test_nothing_does_not_replace_something() -> None:
    nothing = replace(NOW, names=0)
    assert type(halt(nothing, ReplicaRoot(b"/data/www", empty=False))) is RootEmpty
    assert halt(nothing, ReplicaRoot(b"/data/www", empty=True)) is None
    assert halt(nothing, ReplicaRoot(b"/data/www", empty=True, last=nothing)) is None


def test_where_orphans_stay_an_empty_source_does_no_harm() -> None:
    assert halt(replace(NOW, names=0), SAME, spares_orphans=True) is None
    assert halt(replace(NOW, inode=13), SAME, spares_orphans=True) is not None


_ROOTS = st.builds(
    SourceRoot,
    st.sampled_from(["/a", "/b"]),
    st.integers(1, 3),
    st.sampled_from(["x", "y"]),
    st.integers(0, 2),
)


@given(_ROOTS, st.none() | _ROOTS, st.booleans())
def test_no_replica_is_ever_emptied_or_given_to_another_directory(
    now: SourceRoot, last: SourceRoot | None, empty: bool
) -> None:
    if halt(now, ReplicaRoot(b"/r", empty, last)) is None:
        assert now.names or empty
        assert last is None or replace(now, names=0) == replace(last, names=0)
