from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.mirror import content, gathering
from dtesx.mirror.gathering import Gathering, NotStill
from dtesx.mirror.hard_links import LinkNames
from dtesx.mirror.still import laid_out
from dtesx.model.changes import ANYTHING, Changes, Names, Touch
from dtesx.model.spans import Spans

from .changing_tree import DEEDS, PAGE, ChangingTree, Deed

LARGE = 16 * PAGE

deeds = st.tuples(st.sampled_from(DEEDS), st.integers(0, 20), st.integers(0, 20), st.integers(1, 8))


class Place:
    """A tree and what is read of it; files are large from some pages on."""

    def __init__(self, at: Path, stack: ExitStack, room: int) -> None:
        for name in ("tree", "files"):
            (at / name).mkdir()
        self.tree = ChangingTree(at / "tree", LARGE)
        stack.callback(self.tree.close)
        self._root, files = (os.open(at / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("tree", "files"))
        stack.callback(os.close, self._root)
        stack.callback(os.close, files)
        self.gathering = Gathering(files, room)
        self._links = LinkNames()

    def gather(self, meanwhile: Iterator[Deed], *, still: bool) -> None:
        """Read what changed; things go on happening."""

        def pause() -> None:
            for deed in meanwhile:
                self.tree.act(deed)
                return

        changes = self.tree.drain()
        self._links.complete(self._root, changes, pause)
        self.gathering.gather(self._root, None, changes, pause, still=still)

    def gather_names(self, names: Names, *, still: bool = False) -> None:
        """Read some names."""
        self.gather_changes(Changes(names), still=still)

    def gather_changes(self, changes: Changes, *, still: bool) -> None:
        """Read what changed, while nothing else happens."""
        self.gathering.gather(self._root, None, changes, lambda: None, still=still)


@contextmanager
def place(room: int = 1 << 26) -> Iterator[Place]:
    with ExitStack() as stack:
        at = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for module, name, value in (
            (gathering, "WHOLE", 8 * PAGE),
            (content, "SMALL", 4 * PAGE),
            (content, "DENSE", 2 * PAGE),
        ):
            stack.enter_context(mock.patch.object(module, name, value))
        yield Place(at, stack, room)


def _differences(place: Place, layout: Path) -> list[str]:
    """What of the names that were told is not in a copy as it is in the tree."""
    found, same = list[str](), dict[int, int]()
    for directory, names in place.gathering.changes.names.items():
        for name, touch in names.items():
            _compare(place, layout, os.path.join(directory, name), found, same, whole=Touch.APPEARED in touch)
    return found


def _compare(
    place: Place, layout: Path, path: bytes, found: list[str], same: dict[int, int], *, whole: bool
) -> None:
    one, other = place.tree.root / os.fsdecode(path), layout / os.fsdecode(path)
    if not os.path.lexists(one) or not os.path.lexists(other):
        if os.path.lexists(one) != os.path.lexists(other):
            found.append(f"{path!r}: there or not")
        return
    here, there = one.lstat(), other.lstat()
    if here.st_mode != there.st_mode or (here.st_mtime_ns, here.st_uid) != (there.st_mtime_ns, there.st_uid):
        found.append(f"{path!r}: attributes")
    if one.is_dir() and whole:
        for name in {*os.listdir(os.fsencode(one)), *os.listdir(os.fsencode(other))}:
            _compare(place, layout, os.path.join(path, name), found, same, whole=True)
    if here.st_nlink > 1 and not one.is_dir() and same.setdefault(here.st_ino, there.st_ino) != there.st_ino:
        found.append(f"{path!r}: another file than by its other name")
    if one.is_symlink():
        found += [] if os.readlink(one) == os.readlink(other) else [f"{path!r}: link"]
    elif one.is_file():
        spans = None if whole else place.gathering.changes.spans.get(path)
        found += [] if _same(one.read_bytes(), other.read_bytes(), spans) else [f"{path!r}: content"]


def _same(data: bytes, copy: bytes, spans: Spans | None) -> bool:
    """Whether a copy is a file's: all of it where no spans were told."""
    parts = ((0, len(data)),) if spans is None else spans
    return len(data) == len(copy) and all(data[begin:end] == copy[begin:end] for begin, end in parts)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.lists(deeds, max_size=12), max_size=4),
    st.lists(deeds, max_size=12),
    st.lists(deeds, max_size=20),
)
def test_what_is_read_before_and_at_last_is_what_there_is_at_last(
    before: list[list[Deed]], at_last: list[Deed], meanwhile: list[Deed]
) -> None:
    with place() as at:
        happening = iter(meanwhile)
        for some in before:
            for deed in some:
                at.tree.act(deed)
            at.gather(happening, still=False)
        for deed in (*at_last, *happening):
            at.tree.act(deed)
        at.gather(happening, still=True)
        with laid_out(at.gathering) as fd:
            assert _differences(at, Path(f"/proc/self/fd/{fd}")) == []


def _broken(*_: object) -> tuple[int, os.stat_result]:
    raise OSError(errno.EIO, "broken")


NEW = {b"": {b"new": ANYTHING}}


def test_what_was_in_a_directory_that_is_another_now_is_forgotten() -> None:
    with place() as at:
        root = at.tree.root
        (root / "d" / "new").write_bytes(b"new")
        at.gather_names({b"d": {b"new": ANYTHING}})
        (root / "d").rename(root.parent / "aside")
        (root / "d").mkdir()
        at.gather_names({b"": {b"d": ANYTHING}}, still=True)
        with laid_out(at.gathering) as fd:
            assert os.listdir(f"/proc/self/fd/{fd}/d") == []


def test_what_could_not_be_read_before_is_read_at_last() -> None:
    with place() as at:
        (at.tree.root / "new").write_bytes(b"new")
        with mock.patch.object(content, "open_with_status", _broken):
            at.gather_names(NEW)
        at.gather_names({}, still=True)
        with laid_out(at.gathering) as fd:
            assert Path(f"/proc/self/fd/{fd}/new").read_bytes() == b"new"


def test_what_cannot_be_read_at_last_is_told() -> None:
    with place() as at:
        (at.tree.root / "new").write_bytes(b"new")
        with mock.patch.object(content, "open_with_status", _broken), pytest.raises(NotStill, match="broken"):
            at.gather_names(NEW, still=True)


def test_there_is_room_for_so_much() -> None:
    with place(PAGE) as at:
        (at.tree.root / "new").write_bytes(bytes(PAGE))
        for _ in range(2):  # what is read again takes the room of what was read before
            at.gather_names({b"": {b"new": Touch.CONTENT}})
        (at.tree.root / "other").write_bytes(bytes(PAGE))
        with pytest.raises(NotStill, match="memory"):
            at.gather_names({b"": {b"other": ANYTHING}})


def test_of_a_file_that_is_gone_nothing_stays_in_memory() -> None:
    with place() as at:
        (at.tree.root / "new").write_bytes(bytes(LARGE))
        at.gather_names(NEW)
        assert os.listdir(at.gathering.files)
        (at.tree.root / "new").unlink()
        at.gather_names({b"": {b"new": Touch.METADATA}})
        assert os.listdir(at.gathering.files) == []


@pytest.mark.parametrize("changes", [Changes(everything=True), Changes(NEW, blurred=True)])
def test_what_is_not_known_cannot_be_read(changes: Changes) -> None:
    with place() as at, pytest.raises(NotStill, match="not known"):
        at.gather_changes(changes, still=True)
