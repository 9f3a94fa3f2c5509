"""Which names have to be looked at beside those that are told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtesx.mirror.hard_links import LinkNames
from dtesx.model.changes import Changes, Touch


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").touch()
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def _completed(links: LinkNames, root: int, changes: Changes) -> Changes:
    searched: list[None] = []
    links.dismiss(changes)
    links.complete(root, changes, lambda: searched.append(None))
    return changes


def test_a_file_that_is_told_by_its_inode_is_found(root: int, tmp_path: Path) -> None:
    inode = (tmp_path / "sub/file").stat().st_ino
    links = LinkNames()
    for _ in range(2):
        assert _completed(links, root, Changes(inodes={inode})).names == {b"sub": {b"file": Touch.CONTENT}}
    (tmp_path / "sub/file").rename(tmp_path / "elsewhere")
    assert _completed(links, root, Changes(inodes={inode})).names == {b"": {b"elsewhere": Touch.CONTENT}}


def test_what_has_no_name_here_is_searched_for_until_it_gets_one(root: int, tmp_path: Path) -> None:
    outside = tmp_path.with_name(tmp_path.name + "-outside")
    outside.touch()
    inode, links = outside.stat().st_ino, LinkNames()
    assert _completed(links, root, Changes(inodes={inode})).names == {}
    links.dismiss(told := Changes(inodes={inode}))
    assert told.inodes == set()
    os.link(outside, tmp_path / "name")
    appeared = Changes({b"": {b"name": Touch.METADATA | Touch.APPEARED}})
    assert Touch.APPEARED in _completed(links, root, appeared).names[b""][b"name"]
    os.unlink(outside)
    assert _completed(links, root, Changes(inodes={inode})).names == {b"": {b"name": Touch.CONTENT}}


def test_to_widen_finds_unknown_names_by_one_search_and_forgets_none(root: int, tmp_path: Path) -> None:
    searched: list[None] = []
    links = LinkNames()
    links.note((tmp_path / "sub/file").stat().st_ino, b"sub/file")
    links.note((tmp_path / "sub/file").stat().st_ino, b"gone")
    (tmp_path / "one").touch()
    os.link(tmp_path / "one", tmp_path / "sub/two")
    os.link(tmp_path / "one", tmp_path.with_name(tmp_path.name + "-outside"))
    for _ in range(2):
        names = {b"": {b"one": Touch.METADATA | Touch.CONTENT}, b"sub": {b"file": Touch.METADATA}}
        links.widen(root, names, lambda: searched.append(None))
        assert names[b"sub"] == {b"two": Touch.METADATA | Touch.CONTENT, b"file": Touch.METADATA}
    assert len(searched) == 2  # directories
    assert list(links.groups().values()) == [{b"sub/file", b"gone"}, {b"one", b"sub/two"}]


def test_what_was_written_by_a_name_that_is_gone_is_seen_by_the_others(root: int, tmp_path: Path) -> None:
    os.link(tmp_path / "sub/file", tmp_path / "other")
    links = LinkNames()
    _completed(links, root, Changes({b"": {b"other": Touch.METADATA}}))
    (tmp_path / "other").unlink()
    changes = _completed(links, root, Changes({b"": {b"other": Touch.METADATA | Touch.CONTENT}}))
    assert Touch.CONTENT in changes.names[b"sub"][b"file"]


@pytest.mark.parametrize("linked", [False, True])
def test_what_a_search_missed_counts_as_written_when_it_turns_up(
    root: int, tmp_path: Path, linked: bool
) -> None:
    """As when a file is renamed during the search, from where it comes to where it was."""
    outside = tmp_path.with_name(tmp_path.name + "-outside")
    (tmp_path / "sub/file").rename(outside)
    if linked:
        os.link(outside, outside.with_name(outside.name + "-too"))
    links = LinkNames()
    assert _completed(links, root, Changes(inodes={outside.stat().st_ino})).names == {}
    (tmp_path / "dir").mkdir()
    outside.rename(tmp_path / "dir/file")
    changes = _completed(links, root, Changes({b"": {b"dir": Touch.METADATA | Touch.APPEARED}}))
    assert Touch.CONTENT in changes.names[b"dir"][b"file"]
    changes = _completed(links, root, Changes({b"dir": {b"file": Touch.METADATA}}))
    assert Touch.CONTENT not in changes.names[b"dir"][b"file"]


def test_of_what_is_told_by_its_inode_all_may_differ(root: int, tmp_path: Path) -> None:
    """Though a part of it was told before, by its name."""
    inode = (tmp_path / "sub/file").stat().st_ino
    changes = Changes({b"sub": {b"file": Touch.CONTENT}}, spans={b"sub/file": ((0, 4096),)}, inodes={inode})
    assert _completed(LinkNames(), root, changes).spans == {}


def test_of_what_was_written_by_a_name_that_is_gone_all_may_differ(root: int, tmp_path: Path) -> None:
    os.link(tmp_path / "sub/file", tmp_path / "other")
    links = LinkNames()
    _completed(links, root, Changes({b"": {b"other": Touch.METADATA}}))
    (tmp_path / "other").unlink()
    changes = Changes({b"": {b"other": Touch.CONTENT}, b"sub": {b"file": Touch.CONTENT}})
    changes.spans = {b"other": ((4096, 8192),), b"sub/file": ((0, 4096),)}
    assert b"sub/file" not in _completed(links, root, changes).spans


def test_all_names_of_what_is_told_by_its_inode_are_found(root: int, tmp_path: Path) -> None:
    """Also those that it got since one of them was seen."""
    os.link(tmp_path / "sub/file", tmp_path / "one")
    links = LinkNames()
    _completed(links, root, Changes({b"": {b"one": Touch.METADATA}}))
    os.link(tmp_path / "one", tmp_path / "two")
    names = _completed(links, root, Changes(inodes={(tmp_path / "one").stat().st_ino})).names
    assert names == {b"sub": {b"file": Touch.CONTENT}, b"": {b"one": Touch.CONTENT, b"two": Touch.CONTENT}}


def test_what_is_not_where_it_was_is_searched_for_though_it_has_a_name_elsewhere(
    root: int, tmp_path: Path
) -> None:
    outside = tmp_path.with_name(tmp_path.name + "-outside")
    os.link(tmp_path / "sub/file", outside)
    links, inode = LinkNames(), outside.stat().st_ino
    _completed(links, root, Changes({b"sub": {b"file": Touch.METADATA}}))
    (tmp_path / "sub/file").rename(tmp_path / "sub/other")
    outside.unlink()
    assert b"other" in _completed(links, root, Changes(inodes={inode})).names[b"sub"]


def test_a_name_that_goes_during_a_search_is_none_elsewhere(root: int, tmp_path: Path) -> None:
    os.link(tmp_path / "sub/file", tmp_path / "one")
    os.link(tmp_path / "one", tmp_path / "two")
    links = LinkNames()
    links.complete(
        root, Changes({b"": {b"one": Touch.METADATA}}), lambda: (tmp_path / "two").unlink(missing_ok=True)
    )
    os.link(tmp_path / "one", tmp_path / "three")
    (tmp_path / "sub/file").rename(tmp_path / "sub/other")
    changes = _completed(links, root, Changes({b"": {b"three": Touch.METADATA}}))
    assert b"other" in changes.names[b"sub"]


def test_what_was_searched_for_in_vain_counts_for_nothing_once_it_is_here(root: int, tmp_path: Path) -> None:
    """Nor does what was searched for, when another file got its number."""
    outside = tmp_path.with_name(tmp_path.name + "-outside")
    outside.touch()
    links = LinkNames()
    _completed(links, root, Changes(inodes={outside.stat().st_ino}))
    os.link(outside, tmp_path / "one")
    outside.rename(tmp_path / "sub/two")
    names = _completed(links, root, Changes({b"": {b"one": Touch.METADATA}})).names
    assert names == {
        b"": {b"one": Touch.METADATA | Touch.CONTENT},
        b"sub": {b"two": Touch.METADATA | Touch.CONTENT},
    }
