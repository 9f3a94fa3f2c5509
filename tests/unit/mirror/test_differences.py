from __future__ import annotations

import os
import stat
from typing import Any

import pytest

from dtesx.mirror.differences import HardLinks, differences, kind, moment
from dtesx.model.verify import Aspect, Difference
from dtesx.wire.items import UNSURE, Item


def item(name: bytes = b"f", **changes: Any) -> Item:
    fields: dict[str, Any] = {
        "mode": stat.S_IFREG | 0o644,
        "uid": 0,
        "gid": 0,
        "mtime_ns": 10**18 + 5,
        "size": 5,
    }
    return Item(name, **{**fields, **changes})


def test_equal_items_do_not_differ() -> None:
    assert differences(item(), item()) == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"size": 6}, Difference(Aspect.SIZE, "6", "5")),
        (
            {"mtime_ns": 10**18 + 6},
            Difference(Aspect.MODIFIED, "2001-09-09T01:46:40.000000006Z", "2001-09-09T01:46:40.000000005Z"),
        ),
        ({"mode": stat.S_IFREG | 0o4755}, Difference(Aspect.MODE, "4755", "0644")),
        ({"gid": 7}, Difference(Aspect.OWNER, "0:7", "0:0")),
        (
            {"xattrs": ((b"user.a", b"1"), (b"user.b", b"2"))},
            Difference(Aspect.ATTRIBUTES, "user.a, user.b", "none"),
        ),
        ({"target": b"to"}, Difference(Aspect.LINK_TEXT, "to", "")),
        ({"rdev": os.makedev(8, 300)}, Difference(Aspect.DEVICE, "8:300", "0:0")),
        ({"mode": stat.S_IFDIR | 0o755}, Difference(Aspect.KIND, "directory", "file")),
    ],
)
def test_each_aspect(change: dict[str, Any], expected: Difference) -> None:
    assert differences(item(**change), item()) == (expected,)


def test_several_aspects_are_all_named() -> None:
    found = differences(item(size=1, uid=3, mtime_ns=4), item())
    assert [difference.aspect for difference in found] == [Aspect.SIZE, Aspect.MODIFIED, Aspect.OWNER]


def test_only_the_attributes_that_differ_are_named() -> None:
    ours = item(xattrs=((b"user.a", b"1"), (b"user.b", b"2")))
    theirs = item(xattrs=((b"user.b", b"other"), (b"user.\xff", b"")))
    assert differences(ours, theirs)[0] == Difference(
        Aspect.ATTRIBUTES, "user.a, user.b", "user.b, user.\\xff"
    )


def test_times_from_before_1970_and_unknown_ones() -> None:
    assert moment(-1) == "1969-12-31T23:59:59.999999999Z"
    assert moment(UNSURE) == "unknown"


def test_names_of_one_file_are_one_file_on_both_sides() -> None:
    links = HardLinks()
    assert links.agree(item(b"a", link=9), item(b"a", link=70), b"a")
    assert links.agree(item(b"b", link=9), item(b"b", link=70), b"b")
    assert not links.agree(item(b"c", link=9), item(b"c"), b"c")
    assert not links.agree(item(b"d"), item(b"d", link=70), b"d")
    assert links.agree(item(b"e"), item(b"e"), b"e")


def test_a_kind_that_no_target_can_have_is_shown_all_the_same() -> None:
    assert kind(item(mode=0o030644)) == "unknown"
