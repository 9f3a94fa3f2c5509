from __future__ import annotations

import stat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.mirror.diff import Action, Links, Listings, decide, pair, walking_order
from dtesx.model.mirror import Compare, MirrorOptions
from dtesx.wire.items import Item
from dtesx.wire.messages import Directory


def file(name: bytes = b"f", **changes: Any) -> Item:
    fields: dict[str, Any] = {
        "name": name,
        "mode": stat.S_IFREG | 0o644,
        "uid": 0,
        "gid": 0,
        "mtime_ns": 1,
        "size": 5,
    }
    return Item(**{**fields, **changes})


def action(source: Item, target: Item | None, links: Links | None = None) -> Action:
    return decide(source, target, b"p", links or Links(), MirrorOptions())[0]


def test_equal_is_kept_and_absent_is_sent() -> None:
    assert action(file(), file()) is Action.KEEP
    assert action(file(), None) is Action.CONTENT


@pytest.mark.parametrize("change", [{"size": 6}, {"mtime_ns": 2}, {"mode": stat.S_IFIFO | 0o644, "size": 0}])
def test_what_makes_content_travel(change: dict[str, Any]) -> None:
    assert action(file(), file(**change)) is Action.CONTENT


@pytest.mark.parametrize(
    "change", [{"mode": stat.S_IFREG | 0o4644}, {"uid": 1}, {"gid": 1}, {"xattrs": ((b"user.a", b"1"),)}]
)
def test_what_changes_metadata_alone(change: dict[str, Any]) -> None:
    assert action(file(**change), file()) is Action.METADATA


@pytest.mark.parametrize("change", [{"target": b"y"}, {"rdev": 7}])
def test_other_kinds(change: dict[str, Any]) -> None:
    link: dict[str, Any] = {"mode": stat.S_IFLNK | 0o777, "size": 0, "target": b"x"}
    assert action(file(**link), file(**{**link, **change})) is Action.CONTENT
    assert action(file(**link), file(**{**link, "mtime_ns": 9})) is Action.METADATA


def test_compare_none_sends_everything() -> None:
    assert decide(file(), file(), b"f", Links(), MirrorOptions(Compare.NONE))[0] is Action.CONTENT


def test_names_of_one_file_are_sent_once() -> None:
    links = Links()
    assert decide(file(b"a", link=9), None, b"a", links, MirrorOptions())[0] is Action.CONTENT
    assert decide(file(b"b", link=9), None, b"d/b", links, MirrorOptions()) == (Action.LINK, b"a")
    links.forget(9)
    assert decide(file(b"c", link=9), None, b"c", links, MirrorOptions())[0] is Action.CONTENT


def test_linked_on_both_sides_is_kept() -> None:
    links = Links()
    for name in (b"a", b"b", b"c"):
        assert action(file(name, link=9), file(name, link=77), links) is Action.KEEP


def test_linked_here_but_not_there_is_linked() -> None:
    links = Links()
    assert action(file(b"a", link=9), file(b"a"), links) is Action.KEEP
    assert action(file(b"b", link=9), file(b"b"), links) is Action.LINK


def test_linked_there_but_not_here_is_separated() -> None:
    links = Links()
    assert action(file(b"a"), file(b"a", link=77), links) is Action.KEEP
    assert action(file(b"b"), file(b"b", link=77), links) is Action.CONTENT


def test_a_first_name_that_is_replaced_takes_the_others_with_it() -> None:
    links = Links()
    assert action(file(b"a", link=9, size=6), file(b"a", link=77), links) is Action.CONTENT
    assert action(file(b"b", link=9, size=6), file(b"b", link=77), links) is Action.LINK


def test_two_files_here_never_share_one_there() -> None:
    links = Links()
    assert action(file(b"a", link=8), file(b"a", link=77), links) is Action.KEEP
    assert action(file(b"b", link=9), file(b"b", link=77), links) is Action.CONTENT
    assert action(file(b"c", link=8), file(b"c", link=77), links) is Action.KEEP
    assert action(file(b"d", link=9), file(b"d", link=77), links) is Action.LINK


BIG = {"size": 300_000}


@pytest.mark.parametrize(
    ("ours", "theirs", "compare", "expected"),
    [
        (BIG, {"size": 65_536}, Compare.ATTRIBUTES, Action.COMPARE),
        (BIG, {**BIG, "mtime_ns": 2}, Compare.ATTRIBUTES, Action.COMPARE),
        (BIG, {"size": 65_535}, Compare.ATTRIBUTES, Action.CONTENT),
        ({"size": 262_144}, BIG, Compare.ATTRIBUTES, Action.CONTENT),
        (BIG, {"size": 65_536}, Compare.NONE, Action.CONTENT),
        (BIG, BIG, Compare.ATTRIBUTES, Action.KEEP),
        (BIG, BIG, Compare.DATA, Action.COMPARE),
        ({"sum": b"1"}, {"sum": b"1"}, Compare.DATA, Action.KEEP),
        ({"sum": b"1"}, {"sum": b"2"}, Compare.DATA, Action.CONTENT),
        (BIG, {"mode": stat.S_IFIFO | 0o644, "size": 300_000}, Compare.DATA, Action.CONTENT),
    ],
)
def test_what_is_compared_block_by_block(
    ours: dict[str, Any], theirs: dict[str, Any], compare: Compare, expected: Action
) -> None:
    decided = decide(file(**ours), file(**theirs), b"p", Links(), MirrorOptions(compare))
    assert decided[0] is expected


def test_a_shared_file_that_differs_is_compared_for_one_name_only() -> None:
    links = Links()
    assert action(file(b"a", **BIG), file(b"a", link=77, size=400_000), links) is Action.COMPARE
    assert action(file(b"b", **BIG), file(b"b", link=77, size=400_000), links) is Action.CONTENT


@pytest.mark.parametrize("compare", [Compare.ATTRIBUTES, Compare.DATA])
@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (None, Action.CONTENT),
        ({"mtime_ns": 0}, Action.CONTENT),
        ({"mtime_ns": 2}, Action.KEEP),
        ({"mtime_ns": 1, "size": 6}, Action.KEEP),
        ({"mtime_ns": 1, "uid": 3}, Action.METADATA),
        ({"mtime_ns": 2, "uid": 3}, Action.KEEP),
    ],
)
def test_newer_files_only(compare: Compare, theirs: dict[str, Any] | None, expected: Action) -> None:
    options = MirrorOptions(compare, newer_only=True)
    target = None if theirs is None else file(**theirs)
    assert decide(file(), target, b"p", Links(), options)[0] is expected


names = st.lists(st.binary(min_size=1, max_size=2), unique=True).map(sorted)


@given(names, names)
def test_pairs_hold_every_name_once(ours: list[bytes], theirs: list[bytes]) -> None:
    joined = list(pair((file(n) for n in ours), (file(n) for n in theirs)))
    assert [a.name for a, _ in joined if a] == ours
    assert [b.name for _, b in joined if b] == theirs
    assert all(a.name == b.name for a, b in joined if a and b)
    assert sum(1 for a, b in joined if a and b) == len(set(ours) & set(theirs))


paths = st.lists(st.lists(st.sampled_from([b"a", b"a-", b"b", b"z"]), max_size=3).map(b"/".join), unique=True)


@given(paths, paths)
def test_listings_are_found_in_walking_order(there: list[bytes], asked: list[bytes]) -> None:
    there = sorted({b"", *there}, key=walking_order)
    split = [Directory(p, [file(b"1" + p[:1])]) for p in there for _ in range(2)]
    listings = Listings(split)
    for path in sorted(asked, key=walking_order):
        assert len(list(listings.take(path))) == (2 if path in there else 0)
    listings.drain()
    assert list(listings.take(b"zz")) == []
