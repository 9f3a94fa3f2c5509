from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.mirror.catalogue import Catalogue
from dtesx.mirror.reading import KEEP, Reader, Reading
from dtesx.mirror.scan import WalkOptions
from dtesx.mirror.selection import select
from dtesx.mirror.walking import walk
from dtesx.model.rules import Rule, RuleType

from .trees import Change, carry_out, changes, later, next_tick


def quiet(path: bytes, reason: str) -> None:
    raise AssertionError((path, reason))


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    root = tmp_path / "tree"
    root.mkdir()
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield root, fd
    os.close(fd)


def read_all(root: int, catalogue: Path | None, *, digests: bool = True) -> dict[bytes, Reading]:
    known = Catalogue(catalogue, root) if catalogue is not None else None
    reader = Reader(known, digests=digests)
    found = {
        visit.path: reader.read(visit) for visit in walk(root, WalkOptions(problem=quiet)) if visit.entered
    }
    if known is not None:
        known.keep()
        known.close()
    return found


def said(readings: dict[bytes, Reading]) -> dict[bytes, tuple[object, ...]]:
    return {path: (r.digest, r.files, r.size, r.sockets) for path, r in readings.items()}


@settings(max_examples=300, deadline=None)
@given(changes, st.lists(changes, min_size=1, max_size=3))
def test_what_is_remembered_is_what_is_there(before: list[Change], rounds: list[list[Change]]) -> None:
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch, later(patch):
        where = Path(scratch)
        root = where / "tree"
        root.mkdir()
        carry_out(root, before)
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for todo in rounds:
                next_tick(where)
                read_all(fd, where / "catalogue")
                next_tick(where)
                carry_out(root, todo)
                assert said(read_all(fd, where / "catalogue")) == said(read_all(fd, None))
        finally:
            os.close(fd)


@settings(max_examples=200, deadline=None)
@given(changes, changes)
def test_trees_have_equal_digests_only_when_their_items_are_equal(
    ours: list[Change], theirs: list[Change]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        readings = []
        for name, todo in (("ours", ours), ("theirs", theirs)):
            root = Path(scratch) / name
            root.mkdir()
            carry_out(root, todo)
            os.utime(root, ns=(0, 0))
            fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            readings.append(read_all(fd, None))
            os.close(fd)
        for path in readings[0].keys() & readings[1].keys():
            one, other = (reading[path] for reading in readings)
            linked = any(item.link for reading in (one, other) for item in reading.items or ())
            same = one.items == other.items and not linked
            assert (bool(one.digest) and one.digest == other.digest) == same


def test_nothing_is_read_that_stood_still(
    tree: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, fd = tree
    (root / "d").mkdir()
    for name in ("f", "d/g", "d/h"):
        (root / name).write_bytes(b"123")
    with later(monkeypatch):
        first = read_all(fd, tmp_path / "catalogue")
        monkeypatch.setattr(os, "listxattr", lambda *_, **__: quiet(b"", "an attribute was read"))
        again = read_all(fd, tmp_path / "catalogue")
    assert said(again) == said(first)
    assert all(reading.items is None for reading in again.values())


def test_what_changed_just_now_is_not_remembered(
    tree: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, fd = tree
    (root / "f").touch()
    read_all(fd, tmp_path / "catalogue")
    assert read_all(fd, tmp_path / "catalogue")[b""].items is not None
    with later(monkeypatch):
        read_all(fd, tmp_path / "catalogue")
    assert read_all(fd, tmp_path / "catalogue")[b""].items is None


def test_a_single_recent_name_is_enough_not_to_be_remembered(
    tree: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, fd = tree
    (root / "f").touch()
    next_tick(tmp_path)
    (root / "f").chmod(0o600)
    changed = (root / "f").stat().st_ctime_ns
    for now, remembered in ((changed, False), (changed + 1, True)):
        monkeypatch.setattr("dtesx.mirror.state.time.time_ns", lambda now=now: now + 2_000_000_000)
        read_all(fd, tmp_path / "catalogue")
        assert (read_all(fd, tmp_path / "catalogue")[b""].items is None) == remembered


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.setxattr(path, "user.x", b"2"),
        lambda path: path.chmod(0o600),
        lambda path: os.utime(path, ns=(7, 7)),
        lambda path: path.with_name("other").rename(path),
        lambda path: path.rename(path.with_name("g")),
        lambda path: path.unlink(),
    ],
)
def test_a_single_change_is_noticed(
    tree: tuple[Path, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], object],
) -> None:
    root, fd = tree
    for name in ("f", "other"):
        (root / name).write_bytes(b"123")
        os.setxattr(root / name, "user.x", b"1")
    with later(monkeypatch):
        before = read_all(fd, tmp_path / "catalogue")[b""]
        next_tick(tmp_path)
        change(root / "f")
        after = read_all(fd, tmp_path / "catalogue")[b""]
    assert after.items is not None
    assert after.digest != before.digest
    assert said({b"": after}) == said(read_all(fd, None))


def test_hard_links_and_hidden_names_are_compared_by_name(tree: tuple[Path, int]) -> None:
    root, fd = tree
    for name in ("linked", "hiding", "plain"):
        (root / name).mkdir()
        (root / name / "f").touch()
    os.link(root / "linked" / "f", root / "linked" / "g")
    options = WalkOptions(problem=quiet, scope=select((Rule("/hiding/f", RuleType.EXCLUDE),), "/"))
    reader = Reader(None)
    found = {visit.path: reader.read(visit).digest for visit in walk(fd, options) if visit.entered}
    assert {path for path, digest in found.items() if not digest} == {b"linked", b"hiding"}


def test_a_large_directory_is_not_kept_in_memory(
    tree: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, fd = tree
    for number in range(KEEP + 1):
        (root / f"{number}").touch()
    with later(monkeypatch):
        first = read_all(fd, tmp_path / "catalogue")[b""]
        again = read_all(fd, tmp_path / "catalogue")[b""]
    assert first.items is None
    assert (first.files, first.digest) == (KEEP + 1, again.digest)
    (root / "0").unlink()
    kept = read_all(fd, None)[b""]
    assert len(kept.items or ()) == KEEP
    assert kept.digest != first.digest


def test_without_digests_nothing_is_hashed_or_noted(tree: tuple[Path, int], tmp_path: Path) -> None:
    root, fd = tree
    (root / "f").touch()
    reading = read_all(fd, tmp_path / "catalogue", digests=False)[b""]
    assert (reading.digest, [item.name for item in reading.items or ()]) == (b"", [b"f"])
