"""Which names may stand for other things than before."""

from __future__ import annotations

import pytest

from dtesx.mirror.replaced import Below, named, replaced
from dtesx.model.changes import ANYTHING, Touch

NAMES = {
    b"": {b"moved": Touch.APPEARED | Touch.REPLACED, b"new": Touch.APPEARED | Touch.REPLACED},
    b"a/b": {b"c": Touch.REPLACED, b"written": Touch.CONTENT, b"failed": ANYTHING},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"new", True),
        (b"new/below/it", True),
        (b"newer", False),
        (b"moved", False),
        (b"moved/below", False),
        (b"a/b/c", True),
        (b"a/b", False),
        (b"a/b/written", False),
        (b"a/b/failed", False),
        (b"", False),
    ],
)
def test_what_was_replaced_is_so_with_all_below_it_unless_it_was_moved(path: bytes, expected: bool) -> None:
    assert (path in replaced(NAMES, {b"moved"})) is expected


def test_paths_are_added() -> None:
    below = Below()
    assert b"a" not in below
    below.add(Below([b"a"]))
    assert b"a/b" in below


def test_names_are_found_by_what_happened_to_them() -> None:
    assert set(named(NAMES, Touch.CONTENT)) == {b"a/b/written", b"a/b/failed"}
    assert len(set(named(NAMES, Touch(0)))) == 5
