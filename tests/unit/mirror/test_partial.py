"""Visiting what changed of a tree."""

from __future__ import annotations

import os
from pathlib import Path

from dtesx.mirror.partial import walk_changed
from dtesx.mirror.scan import WalkOptions
from dtesx.model.changes import Touch


def _refuse(path: bytes, reason: str) -> None:
    raise AssertionError((path, reason))


def test_all_that_appeared_is_visited_whatever_becomes_of_the_visit(tmp_path: Path) -> None:
    """Who gets a visit goes on with a descriptor of their own, which may be another directory's by then."""
    names = [b"%d" % number for number in range(5)]
    for name in names:
        (tmp_path / "dir" / os.fsdecode(name)).mkdir(parents=True)
    vanished: list[bytes] = []
    options = WalkOptions(problem=_refuse, vanished=vanished.append)
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        entered = []
        for visit in walk_changed(root, options, {b"dir": dict.fromkeys(names, Touch.APPEARED)}):
            if visit.entered:
                list(visit.entries)
                entered.append(visit.path)
                visit.fd = root
    finally:
        os.close(root)
    assert entered == [b"dir", *(b"dir/" + name for name in names)]
    assert vanished == []
