"""Where changes are told to be: renamed directories, several roots, bind mounts, subvolumes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.capture.capture import Capture
from dtesx.capture.changes import Changes
from dtesx.volumes.views import open_view

from .conftest import NAME, Watch, Watched, mounted, opened, touched

pytestmark = pytest.mark.integration


@contextmanager
def _bound(what: Path, where: Path) -> Iterator[None]:
    run(["mount", "--bind", str(what), str(where)])
    try:
        yield
    finally:
        run(["umount", str(where)])


def test_a_change_is_told_where_its_directory_is_now(names: Watched) -> None:
    root = names.path
    (root / "dir" / "sub" / "one").touch()
    (root / "dir").rename(root / "moved")
    (root / "moved" / "sub" / "two").touch()
    assert touched(names.drain()) == {b"": {b"dir", b"moved"}, b"moved/sub": {b"one", b"two"}}


def test_what_was_told_before_a_directory_moved_is_told_again(names: Watched) -> None:
    root = names.path
    (root / "dir" / "sub" / "one").touch()
    assert b"one" in touched(names.drain())[b"dir/sub"]
    (root / "dir").rename(root / "moved")
    assert touched(names.drain()) == {b"": {b"dir", b"moved"}, b"moved/sub": {b"one"}}
    (root / "moved").rename(root / "again")
    assert touched(names.drain()) == {b"": {b"moved", b"again"}, b"again/sub": {b"one"}}
    (root / "file").touch()
    names.drain()
    (root / "again").rename(root / "dir")
    assert touched(names.drain()) == {b"": {b"again", b"dir"}}


def test_a_directory_that_came_back_is_told_again(names: Watched) -> None:
    root = names.path
    (root / "dir" / "sub" / "one").touch()
    names.drain()
    (root / "dir").rename(root / "moved")
    (root / "moved").rename(root / "dir")
    assert touched(names.drain())[b"dir/sub"] == {b"one"}


def test_a_directory_that_moved_below_the_root_is_told_with_what_changed_before(
    disk: Path, watch: Watch
) -> None:
    (disk / "in").mkdir()
    (disk / "out" / "sub").mkdir(parents=True)
    watched = watch(disk / "in")
    (disk / "out" / "sub" / "one").touch()
    assert watched.drain() == Changes()
    (disk / "out").rename(disk / "in" / "now")
    assert touched(watched.drain()) == {b"": {b"now"}, b"now/sub": {b"one"}}
    (disk / "in" / "now").rename(disk / "out")
    (disk / "out" / "sub" / "two").touch()
    assert touched(watched.drain()) == {b"": {b"now"}}


def _deepen(directory: Path) -> bytes:
    """Make directories with a path that is longer than the kernel shows; return what was added to it."""
    name, fd = b"d" * 250, os.open(directory, os.O_RDONLY)
    for _ in range(20):
        os.mkdir(name, dir_fd=fd)
        above, fd = fd, os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(above)
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)
    return b"/".join([name] * 20)


@contextmanager
def _deepest(directory: Path) -> Iterator[int]:
    """The last of the directories that were made there."""
    fd = os.open(directory, os.O_RDONLY)
    for _ in range(20):
        above, fd = fd, os.open(b"d" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(above)
    try:
        yield fd
    finally:
        os.close(fd)


def _write(name: str, directory: int) -> None:
    fd = os.open(name, os.O_WRONLY, dir_fd=directory)
    os.write(fd, b"content")
    os.close(fd)


def test_however_long_a_path_is_it_is_told(names: Watched) -> None:
    deep = _deepen(names.path / "dir")
    found = names.drain()
    assert found.appeared[b"dir/" + deep] == found.written[b"dir/" + deep] == {b"file"}
    assert not found.files
    assert not found.lost


def test_bytes_of_a_file_are_told_however_long_its_path_is(ranges: Watched) -> None:
    deep = _deepen(ranges.path / "dir")
    with _deepest(ranges.path / "dir") as directory:
        _write("file", directory)
    (file,) = ranges.drain().ranges
    assert ranges.capture.locate(NAME, file) == b"dir/" + deep + b"/file"


def test_long_paths_that_are_not_below_the_root_do_not_matter(disk: Path, watch: Watch) -> None:
    (disk / "in").mkdir()
    watched = watch(disk / "in")
    _deepen(disk)
    assert watched.drain() == Changes()


@pytest.mark.parametrize("with_ranges", [False, True])
def test_bytes_of_a_long_path_that_is_not_below_the_root_do_not_matter(
    disk: Path, watch: Watch, with_ranges: bool
) -> None:
    (disk / "in").mkdir()
    watched = watch(disk / "in", ranges=with_ranges)
    _deepen(disk)
    with _deepest(disk) as directory:
        _write("file", directory)
    changes = watched.drain()
    assert changes == Changes(ranges=changes.ranges)
    assert len(changes.ranges) == with_ranges
    for file in changes.ranges:
        assert watched.capture.locate(NAME, file) is None
        assert not watched.capture.is_nameless(NAME, file)


def test_a_name_below_the_root_is_not_lost_when_another_has_a_long_path(disk: Path, watch: Watch) -> None:
    (disk / "in").mkdir()
    _deepen(disk)
    with _deepest(disk) as directory:
        os.link("file", disk / "in" / "link", src_dir_fd=directory)
        watched = watch(disk / "in")
        _write("file", directory)
    changes = watched.drain()
    with opened(disk / "in") as fd:
        file = watched.capture.identify(NAME, fd, b"link")
    # Which of its names the kernel has at hand is up to the kernel.
    assert changes.written == {b"": {b"link"}} or changes.files == {file}


def test_what_was_written_by_a_long_path_is_told_where_it_is_now(disk: Path, watch: Watch) -> None:
    (disk / "in").mkdir()
    watched = watch(disk / "in")
    _deepen(disk)
    with _deepest(disk) as directory:
        _write("file", directory)
        os.rename("file", disk / "in" / "now", src_dir_fd=directory)
    changes = watched.drain()
    assert changes.appeared == changes.written == {b"": {b"now"}}
    assert not changes.files


def test_files_beside_a_root_on_a_bind_mount_do_not_matter(ext4: Path, tmp_path: Path) -> None:
    (ext4 / "a").mkdir()
    (tmp_path / "bound").mkdir()
    with (
        _bound(ext4 / "a", tmp_path / "bound"),
        open_view(str(tmp_path / "bound")) as view,
        Capture(ranges=False) as capture,
    ):
        capture.watch("bound", view)
        (ext4 / "outside").write_bytes(b"content")
        assert capture.drain() == {}


def test_the_root_itself_may_move(disk: Path, watch: Watch) -> None:
    (disk / "in" / "sub").mkdir(parents=True)
    watched = watch(disk / "in")
    (disk / "in").rename(disk / "elsewhere")
    (disk / "elsewhere" / "sub" / "one").touch()
    assert touched(watched.drain())[b"sub"] == {b"one"}


def test_a_directory_that_was_removed_is_told_by_its_own_name_only(names: Watched) -> None:
    root = names.path
    (root / "dir" / "sub" / "one").touch()
    (root / "dir" / "sub" / "one").unlink()
    (root / "dir" / "sub").rmdir()
    assert touched(names.drain()) == {b"dir": {b"sub"}}


def test_a_removed_directory_that_somebody_is_in_is_gone(names: Watched) -> None:
    with opened(names.path / "dir" / "sub") as fd:
        os.chmod(fd, 0o711)
        (names.path / "dir" / "sub").rmdir()
        os.chmod(fd, 0o700)
        assert touched(names.drain()) == {b"dir": {b"sub"}}


def test_a_name_that_looks_as_if_it_were_deleted(names: Watched) -> None:
    odd = names.path / "sub (deleted)"
    odd.mkdir()
    names.drain()
    (odd / "one").touch()
    assert touched(names.drain()) == {b"sub (deleted)": {b"one"}}


def test_names_that_are_mounted_over_are_seen_by_a_view_of_their_own(disk: Path) -> None:
    (disk / "hidden").mkdir()
    (disk / "other").mkdir()
    with opened(disk / "hidden") as below, open_view(str(disk)) as view, Capture(ranges=False) as capture:
        capture.watch("view", view)
        with _bound(disk / "other", disk / "hidden"), opened(disk) as top:
            capture.watch("top", top)
            os.mknod("one", dir_fd=below)
            assert capture.drain() == {"view": Changes(appeared={b"hidden": {b"one"}})}


def test_each_root_gets_what_is_below_it(ext4: Path, tmp_path: Path) -> None:
    (ext4 / "a" / "b").mkdir(parents=True)
    (tmp_path / "bound").mkdir()
    with (
        mounted("xfs", tmp_path / "second") as second,
        _bound(ext4 / "a", tmp_path / "bound"),
        opened(ext4) as top,
        opened(ext4 / "a" / "b") as below,
        opened(tmp_path / "bound") as bound,
        opened(second) as other,
        Capture(ranges=False) as capture,
    ):
        roots = {"top": top, "below": below, "bound": bound, "other": other}
        for name, fd in roots.items():
            capture.watch(name, fd)
        (tmp_path / "bound" / "b" / "one").mkdir()
        (second / "two").mkdir()
        (ext4 / "three").mkdir()
        found = {name: touched(changes) for name, changes in capture.drain().items()}
    assert found == {
        "top": {b"a/b": {b"one"}, b"": {b"three"}},
        "below": {b"": {b"one"}},
        "bound": {b"b": {b"one"}},
        "other": {b"": {b"two"}},
    }


def test_a_root_on_a_bind_mount_does_not_take_what_only_looks_below_it(ext4: Path, tmp_path: Path) -> None:
    # The kernel shows what is not below a mount by its path in the whole file system.
    (ext4 / "a" / "same").mkdir(parents=True)
    (ext4 / "same").mkdir()
    (tmp_path / "bound").mkdir()
    with (
        _bound(ext4 / "a", tmp_path / "bound"),
        open_view(str(tmp_path / "bound")) as view,
        Capture(ranges=False) as capture,
    ):
        capture.watch("bound", view)
        (ext4 / "same" / "outside").mkdir()
        (ext4 / "a" / "same" / "inside").mkdir()
        (changes,) = capture.drain().values()
    assert changes.appeared == {b"same": {b"inside"}}


@pytest.mark.parametrize("top_mounted", [True, False])
def test_subvolumes_are_watched_each_by_itself(btrfs: Path, tmp_path: Path, top_mounted: bool) -> None:
    # The same inode numbers in both: only the subvolume parts them.
    for name in ("@", "@home"):
        run(["btrfs", "--quiet", "subvolume", "create", str(btrfs / name)])
        (btrfs / name / "dir").mkdir()
    device = run(["findmnt", "--noheadings", "--output", "SOURCE", str(btrfs)]).text.strip()
    for name in ("@", "@home"):
        (tmp_path / name).mkdir()
        run(["mount", "-o", f"subvol={name}", device, str(tmp_path / name)])
    bare = tmp_path / "bare"
    bare.mkdir()
    try:
        if not top_mounted:
            run(["mount", "--move", str(btrfs), str(bare)])
            run(["umount", str(bare)])
        with (
            opened(tmp_path / "@") as system,
            opened(tmp_path / "@home") as home,
            Capture(ranges=False) as capture,
        ):
            capture.watch("/", system)
            capture.watch("/home", home)
            (tmp_path / "@" / "dir" / "one").mkdir()
            (tmp_path / "@home" / "dir" / "two").mkdir()
            found = {name: touched(changes) for name, changes in capture.drain().items()}
        assert found == {"/": {b"dir": {b"one"}}, "/home": {b"dir": {b"two"}}}
    finally:
        if not top_mounted:
            run(["mount", device, str(btrfs)])
        for name in ("@", "@home"):
            run(["umount", str(tmp_path / name)])
