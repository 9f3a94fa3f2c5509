"""A tree in slices: every directory is visited once, wherever the slices end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.mirror.diff import walking_order
from dtesx.mirror.hard_links import LinkNames
from dtesx.mirror.scan import WalkOptions
from dtesx.mirror.walking import walk, walk_on
from dtesx.model.changes import Changes, Touch
from dtesx.replication.continuous.slicing import Position, SlicedMirror, split

DIRECTORIES = ["a", "a/b", "a/b/c", "a-", "a-/b", "b", "b/a", "b/b", "b/c", "c"]


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def options() -> WalkOptions:
    def problem(path: bytes, reason: str) -> None:
        raise AssertionError((path, reason))

    return WalkOptions(problem=problem)


def entered(visits: Iterator[object]) -> list[bytes]:
    paths = []
    for visit in visits:
        if visit.entered:  # type: ignore[attr-defined]
            list(visit.entries)  # type: ignore[attr-defined]
            paths.append(visit.path)  # type: ignore[attr-defined]
    return paths


def tree(root: Path) -> None:
    for directory in DIRECTORIES:
        (root / directory).mkdir()
        (root / directory / "file").touch()


def slices(fd: int, length: int) -> Iterator[list[bytes]]:
    """The directories that each slice of so many visits."""
    after: bytes | None = None
    part: list[bytes] = []
    while True:
        part.clear()
        for visit in walk_on(fd, options(), after, lambda: len(part) >= length):
            if visit.entered:
                list(visit.entries)
                part.append(visit.path)
        if not part:
            return
        yield list(part)
        after = part[-1]


def test_slices_of_any_length_visit_what_one_walk_visits(tmp_path: Path) -> None:
    tree(tmp_path)
    with opened(tmp_path) as fd:
        whole = entered(walk(fd, options()))
        for length in range(1, len(whole) + 1):
            assert [path for part in slices(fd, length) for path in part] == whole


def test_a_walk_goes_on_where_the_directory_it_came_to_is_gone(tmp_path: Path) -> None:
    tree(tmp_path)
    with opened(tmp_path) as fd:
        assert entered(walk_on(fd, options(), b"a/b/gone", lambda: False))[0] == b"a-"
        assert entered(walk_on(fd, options(), b"b/aa/x", lambda: False)) == [b"b/b", b"b/c", b"c"]


def test_what_was_entered_is_left(tmp_path: Path) -> None:
    tree(tmp_path)
    with opened(tmp_path) as fd:
        count = 0

        def enough() -> bool:
            return count >= 2

        left = []
        for visit in walk_on(fd, options(), None, enough):
            if visit.entered:
                list(visit.entries)
                count += 1
            else:
                left.append(visit.path)
        assert left == [b"a", b""]


PATHS = st.sampled_from([b"", *map(str.encode, DIRECTORIES)])


@given(st.sets(PATHS), st.none() | PATHS, st.booleans())
def test_changes_are_sent_now_or_seen_later(
    directories: set[bytes], after: bytes | None, walked: bool
) -> None:
    position = Position(after, walked)
    changes = Changes({each: {b"file": Touch.CONTENT} for each in directories})
    for each in directories:
        changes.spans[each + b"/file" if each else b"file"] = ((0, 1),)
    now, later = split(changes, position)
    assert {**now.names, **later.names} == changes.names
    assert {**now.spans, **later.spans} == changes.spans
    assert not now.names.keys() & later.names.keys()
    for each in now.names:
        assert walked or (after is not None and walking_order(each) <= walking_order(after))


def test_a_rename_is_repeated_only_where_both_places_were_visited() -> None:
    moved = [(b"a/x", b"a/y"), (b"a/z", b"c/z"), (b"c/1", b"a/1")]
    now, later = split(Changes({b"a": {}}, moved=moved, everything=True), Position(b"b"))
    assert now.moved == [(b"a/x", b"a/y")]
    assert not later.moved
    assert later.everything
    assert not now.everything


@pytest.mark.parametrize("touch", [Touch.CONTENT, Touch.APPEARED | Touch.REPLACED])
def test_a_file_with_several_names_was_written_whatever_its_names_are_since(
    touch: Touch, tmp_path: Path
) -> None:
    names = LinkNames()
    mirror = SlicedMirror(names, None, blurred=False)
    hints = Changes({b"": {b"one": touch}})
    _, piece = mirror.begin(hints, lambda: False)
    mirror.note(hints, 7, b"one")
    names.note(7, b"other")
    names.note(8, b"two")
    with opened(tmp_path) as fd:
        assert piece.walk is not None
        assert entered(piece.walk(fd, options())) == [b""]
    mirror.advance()
    linked = mirror.linked()[b""]
    assert {name for name, what in linked.items() if Touch.CONTENT in what} == {b"one", b"other"}
