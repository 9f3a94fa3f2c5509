"""What was renamed: where it was at the drain before, and where it is now, on each file system."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.capture.capture import Capture
from dtesx.capture.changes import Changes
from dtesx.model.paths import join

from .conftest import NAME, Watch, Watched, exchange, opened

pytestmark = pytest.mark.integration


def _moved(watched: Watched) -> set[tuple[bytes, bytes]]:
    found = watched.drain().moved
    assert len(found) == len(set(found))
    return set(found)


def test_a_chain_is_told_from_its_first_to_its_last_name(names: Watched) -> None:
    root = names.path
    for old, new in (("file", "b"), ("b", "dir/c"), ("dir/c", "dir/sub/d")):
        (root / old).rename(root / new)
    assert _moved(names) == {(b"file", b"dir/sub/d")}
    (root / "dir" / "sub" / "d").rename(root / "file")
    assert _moved(names) == {(b"dir/sub/d", b"file")}
    assert _moved(names) == set()


def test_names_that_go_round(names: Watched) -> None:
    root = names.path
    for name in "abc":
        (root / name).mkdir()
    names.drain()
    for old, new in (("a", "x"), ("b", "a"), ("c", "b"), ("x", "c")):
        (root / old).rename(root / new)
    assert _moved(names) == {(b"a", b"c"), (b"b", b"a"), (b"c", b"b")}
    exchange(root / "a", root / "dir" / "other")
    assert _moved(names) == {(b"a", b"dir/other"), (b"dir/other", b"a")}


def test_what_came_back_did_not_move(names: Watched) -> None:
    root = names.path
    for _ in range(3):
        for name in ("file", "dir"):
            (root / name).rename(root / "away")
            (root / "away").rename(root / name)
    assert _moved(names) == set()


def test_joined_events_are_told_by_what_is_true(names: Watched) -> None:
    # The third rename is joined with the first, so that the last event is not what happened last.
    root = names.path
    for old, new in (("file", "b"), ("b", "file"), ("file", "b")):
        (root / old).rename(root / new)
    assert _moved(names) == {(b"file", b"b")}


def test_parents_that_moved_are_taken_back(names: Watched) -> None:
    root = names.path
    (root / "dir" / "sub" / "leaf").touch()
    names.drain()
    (root / "dir" / "sub" / "leaf").rename(root / "dir" / "leaf")
    (root / "dir" / "sub").rename(root / "sub")
    (root / "dir").rename(root / "sub" / "dir")
    (root / "sub" / "dir" / "other").rename(root / "sub" / "other")
    assert _moved(names) == {
        (b"dir", b"sub/dir"),
        (b"dir/sub", b"sub"),
        (b"dir/sub/leaf", b"sub/dir/leaf"),
        (b"dir/other", b"sub/other"),
    }


def test_what_was_saved_from_a_directory_that_is_removed(names: Watched) -> None:
    root = names.path
    (root / "dir" / "other").rename(root / "saved")
    (root / "dir" / "sub").rmdir()
    (root / "dir").rmdir()
    assert _moved(names) == {(b"dir/other", b"saved")}


def test_what_was_renamed_over_is_gone(names: Watched) -> None:
    root = names.path
    (root / "dir" / "other").rename(root / "file")
    (root / "empty").mkdir()
    names.drain()
    (root / "dir" / "sub").rename(root / "empty")
    (root / "file").rename(root / "empty" / "file")
    assert _moved(names) == {(b"dir/sub", b"empty"), (b"file", b"empty/file")}


def test_what_is_new_or_gone_is_left_out(names: Watched) -> None:
    root = names.path
    (root / "temporary").write_bytes(b"x")
    (root / "temporary").rename(root / "dir" / "other")
    (root / "new").mkdir()
    (root / "new").rename(root / "newer")
    (root / "dir" / "sub").rename(root / "newer" / "sub")
    (root / "file").rename(root / "gone")
    (root / "gone").unlink()
    assert _moved(names) == {(b"dir/sub", b"newer/sub")}


def test_a_file_by_one_of_its_names(names: Watched) -> None:
    root = names.path
    os.link(root / "file", root / "dir" / "link")
    (root / "file").rename(root / "first")
    assert _moved(names) == set(), "it got a name before"
    (root / "dir" / "link").rename(root / "second")
    assert _moved(names) == {(b"dir/link", b"second")}


def test_symbolic_links_and_devices_move_too(names: Watched) -> None:
    root = names.path
    (root / "link").symlink_to("dir")
    os.mkfifo(root / "fifo")
    names.drain()
    (root / "link").rename(root / "dir" / "link")
    (root / "fifo").rename(root / "dir" / "fifo")
    assert _moved(names) == {(b"link", b"dir/link"), (b"fifo", b"dir/fifo")}


def test_into_and_out_of_the_root_is_no_move(disk: Path, watch: Watch) -> None:
    (disk / "in" / "dir" / "sub").mkdir(parents=True)
    (disk / "in" / "file").touch()
    (disk / "out" / "dir").mkdir(parents=True)
    (disk / "out" / "file").touch()
    watched = watch(disk / "in")
    (disk / "in" / "file").rename(disk / "file")
    (disk / "out" / "file").rename(disk / "in" / "file")
    (disk / "in" / "dir").rename(disk / "dir")
    (disk / "out" / "dir").rename(disk / "in" / "dir")
    assert _moved(watched) == set()
    (disk / "dir" / "sub").rename(disk / "in" / "sub")
    assert _moved(watched) == set()
    (disk / "in" / "sub").rename(disk / "sub")
    (disk / "sub").rename(disk / "in" / "again")
    assert _moved(watched) == {(b"sub", b"again")}


def test_the_root_itself_does_not_move(disk: Path, watch: Watch) -> None:
    (disk / "in" / "sub").mkdir(parents=True)
    watched = watch(disk / "in")
    (disk / "in").rename(disk / "elsewhere")
    (disk / "elsewhere" / "sub").rename(disk / "elsewhere" / "dir")
    assert _moved(watched) == {(b"sub", b"dir")}


def test_a_directory_that_was_removed_under_somebody(names: Watched) -> None:
    root = names.path
    (root / "empty").mkdir()
    with opened(root / "dir" / "sub"):
        (root / "dir" / "sub" / "leaf").touch()
        names.drain()
        (root / "dir" / "sub" / "leaf").rename(root / "leaf")
        # No event tells that this removes a directory.
        (root / "empty").rename(root / "dir" / "sub")
        assert (b"dir/sub/leaf", b"leaf") not in (found := _moved(names))
        assert found == {(b"empty", b"dir/sub")}


def test_each_subvolume_by_itself(btrfs: Path) -> None:
    for name in ("one", "two"):
        run(["btrfs", "--quiet", "subvolume", "create", str(btrfs / name)])
        (btrfs / name / "dir").mkdir()
    with opened(btrfs / "one") as one, opened(btrfs) as top, Capture(ranges=False) as capture:
        capture.watch("one", one)
        capture.watch("top", top)
        run(["btrfs", "--quiet", "subvolume", "snapshot", str(btrfs / "one"), str(btrfs / "shot")])
        for name in ("one", "two", "shot"):
            (btrfs / name / "dir").rename(btrfs / name / "new")
        found = capture.drain()
        assert found["one"].moved == [(b"dir", b"new")]
        assert sorted(found["top"].moved) == [(b"one/dir", b"one/new"), (b"two/dir", b"two/new")]


def test_processes_that_are_ignored_move_what_others_change(ext4: Path) -> None:
    (ext4 / "dir" / "sub").mkdir(parents=True)
    with opened(ext4) as fd, Capture(ranges=False, ignored=[os.getpid()]) as capture:
        capture.watch(NAME, fd)
        (ext4 / "dir").rename(ext4 / "ours")
        run(["mv", str(ext4 / "ours" / "sub"), str(ext4 / "theirs")])
        (changes,) = capture.drain().values()
        assert changes == Changes(
            appeared={b"": {b"theirs"}}, names={b"ours": {b"sub"}}, moved=[(b"dir/sub", b"theirs")]
        )


_VERSIONS = 3000
_PAUSE = 0.0003  # seconds; else none of several attempts falls between two renames
_Paths = dict[bytes, int]


class _Shuffler(threading.Thread):
    """Renames directories at random; ``versions`` are the tree after each rename."""

    def __init__(self, top: Path) -> None:
        super().__init__()
        self._top = top
        self._ended = threading.Event()
        self._random = random.Random(1)
        self.versions: list[_Paths] = [
            {os.fsencode(path.relative_to(top)): path.stat().st_ino for path in top.rglob("*")}
        ]

    def run(self) -> None:
        (paths,) = self.versions
        while not self._ended.wait(_PAUSE):
            old, above = self._random.choice(sorted(paths)), self._random.choice([b"", *sorted(paths)])
            new = join(above, self._random.choice((b"a", b"b", b"c")))
            try:
                os.rename(self._top / os.fsdecode(old), self._top / os.fsdecode(new))
            except OSError:
                continue
            if old != new:
                paths = {
                    new + path[len(old) :] if path == old or path.startswith(old + b"/") else path: inode
                    for path, inode in paths.items()
                    if path != new
                }
                self.versions.append(paths)

    def end(self) -> None:
        self._ended.set()
        self.join()


def test_what_is_told_is_true_while_everything_moves(ext4: Path, watch: Watch) -> None:
    for path in ("a/a/a", "a/b/c", "a/c/b", "b/a/b", "b/b/a", "c/c/c", "c/a/b", "c/b/c"):
        (ext4 / path).mkdir(parents=True)
    watched = watch(ext4)
    shuffler = _Shuffler(ext4)
    drains: list[tuple[int, int, list[tuple[bytes, bytes]]]] = []
    shuffler.start()
    try:
        while len(shuffler.versions) < _VERSIONS:
            first = len(shuffler.versions)
            moved = watched.drain().moved
            drains.append((first, len(shuffler.versions), moved))
            time.sleep(_PAUSE)
    finally:
        shuffler.end()
    # The tree at a drain was that of one of these versions; one more may have been on its way.
    before = {0}
    for first, last, moved in drains:
        now = range(max(0, first - 1), min(last + 1, len(shuffler.versions)))
        before = {
            j
            for j in now
            if any(i <= j and _true(moved, *(shuffler.versions[k] for k in (i, j))) for i in before)
        }
        assert before, moved
    assert (
        sum(len(moved) for _, _, moved in drains) > _VERSIONS // 100
    )  # however seldom a busy machine lets it drain


def _true(moved: list[tuple[bytes, bytes]], old: _Paths, new: _Paths) -> bool:
    return all(path in old and old[path] == new.get(now) for path, now in moved)
