"""What each operation tells by fanotify, on each file system."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.capture import capture as capturing
from dtesx.capture import fanotify, paths
from dtesx.capture.capture import Capture
from dtesx.capture.changes import Changes, Names
from dtesx.capture.errors import NotWatchable

from .conftest import NAME, Watch, Watched, exchange, opened

pytestmark = pytest.mark.integration

_libc = ctypes.CDLL(None, use_errno=True)
_PUNCH_HOLE, _KEEP_SIZE, _ZERO_RANGE = 2, 1, 16


_Told = tuple[Names, Names, list[tuple[bytes, bytes]]]
"""What appeared, which other names changed, and what moved."""


def _appears(directory: bytes, name: bytes) -> _Told:
    return {directory: {name}}, {}, []


def _changes(directory: bytes, name: bytes) -> _Told:
    return {}, {directory: {name}}, []


NAMESPACE: list[tuple[str, Callable[[Path], object], _Told]] = [
    ("create", lambda r: os.mknod(r / "new", 0o600), _appears(b"", b"new")),
    ("mkdir", lambda r: (r / "dir" / "new").mkdir(), _appears(b"dir", b"new")),
    ("symlink", lambda r: (r / "new").symlink_to("x"), _appears(b"", b"new")),
    ("mknod", lambda r: os.mknod(r / "new", 0o20600, os.makedev(1, 3)), _appears(b"", b"new")),
    ("fifo", lambda r: os.mkfifo(r / "dir" / "sub" / "new"), _appears(b"dir/sub", b"new")),
    ("unlink", lambda r: (r / "file").unlink(), _changes(b"", b"file")),
    ("rmdir", lambda r: (r / "dir" / "sub").rmdir(), _changes(b"dir", b"sub")),
    (
        "rename",
        lambda r: (r / "file").rename(r / "dir" / "new"),
        ({b"dir": {b"new"}}, {b"": {b"file"}}, [(b"file", b"dir/new")]),
    ),
    (
        "replace",
        lambda r: (r / "file").rename(r / "dir" / "other"),
        ({b"dir": {b"other"}}, {b"": {b"file"}}, [(b"file", b"dir/other")]),
    ),
    (
        "exchange",
        lambda r: exchange(r / "file", r / "dir" / "other"),
        (
            {b"": {b"file"}, b"dir": {b"other"}},
            {b"": {b"file"}, b"dir": {b"other"}},
            [(b"file", b"dir/other"), (b"dir/other", b"file")],
        ),
    ),
    (
        "rename of a directory",
        lambda r: (r / "dir").rename(r / "new"),
        ({b"": {b"new"}}, {b"": {b"dir"}}, [(b"dir", b"new")]),
    ),
    ("chmod", lambda r: (r / "file").chmod(0o600), _changes(b"", b"file")),
    ("chmod of a directory", lambda r: (r / "dir" / "sub").chmod(0o700), _changes(b"dir", b"sub")),
    ("chmod of the root", lambda r: r.chmod(0o700), _changes(b"", b"")),
    ("chown", lambda r: os.chown(r / "dir" / "other", 5, 5), _changes(b"dir", b"other")),
    ("utimes", lambda r: os.utime(r / "file", (1, 1)), _changes(b"", b"file")),
    ("xattr", lambda r: os.setxattr(r / "file", "trusted.x", b"y"), _changes(b"", b"file")),
    ("not UTF-8", lambda r: os.mknod(os.fsencode(r) + b"/\xff\n", 0o600), _appears(b"", b"\xff\n")),
]


@pytest.mark.parametrize(("act", "told"), [row[1:] for row in NAMESPACE], ids=[row[0] for row in NAMESPACE])
def test_names_that_change_are_told(names: Watched, act: Callable[[Path], object], told: _Told) -> None:
    act(names.path)
    found = names.drain()
    assert (found.appeared, found.names, sorted(found.moved)) == (told[0], told[1], sorted(told[2]))
    assert not found.lost
    assert names.drain() == Changes()


def test_a_directory_that_the_kernel_does_not_find_at_once_is_told_later(
    names: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(_mount: int, _handle: bytes) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    (names.path / "dir/sub").chmod(0o700)
    with monkeypatch.context() as patched:
        patched.setattr(paths, "open_handle", stale)
        assert names.drain() == Changes()
    assert names.drain().names == {b"dir": {b"sub"}}
    assert names.drain() == Changes()


def test_a_new_link_is_told_by_its_own_name(names: Watched) -> None:
    os.link(names.path / "file", names.path / "dir" / "link")
    assert names.drain().appeared == {b"dir": {b"link"}}


def _open(path: Path, flags: int, act: Callable[[int], object]) -> None:
    fd = os.open(path, flags)
    try:
        act(fd)
    finally:
        os.close(fd)


def test_a_file_that_was_made_without_a_name_is_told_when_it_gets_one(names: Watched) -> None:
    def link(fd: int) -> None:
        os.write(fd, b"x")
        # With a descriptor os.link follows the first path (linkat(2), AT_SYMLINK_FOLLOW).
        os.link(f"/proc/self/fd/{fd}", names.path / "linked", src_dir_fd=fd)
        assert names.drain().appeared == {b"": {b"linked"}}

    _open(names.path, os.O_TMPFILE | os.O_RDWR, link)


def _direct(fd: int) -> None:
    with mmap.mmap(-1, 4096) as page:
        os.pwritev(fd, [page], 8192)


def _fallocate(mode: int) -> Callable[[int], None]:
    def act(fd: int) -> None:
        arguments = (ctypes.c_int(mode), ctypes.c_long(65536), ctypes.c_long(65536))
        assert _libc.fallocate(ctypes.c_int(fd), *arguments) == 0

    return act


CONTENT: list[tuple[str, int, Callable[[int], object]]] = [
    ("write", os.O_WRONLY, lambda fd: os.pwrite(fd, b"x", 5000)),
    ("append", os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, b"x")),
    ("direct", os.O_WRONLY | os.O_DIRECT, _direct),
    ("truncate", os.O_WRONLY, lambda fd: os.ftruncate(fd, 100)),
    ("punch", os.O_WRONLY, _fallocate(_PUNCH_HOLE | _KEEP_SIZE)),
    ("zero", os.O_WRONLY, _fallocate(_ZERO_RANGE)),
]


@pytest.mark.parametrize(("flags", "act"), [row[1:] for row in CONTENT], ids=[row[0] for row in CONTENT])
def test_writes_are_told_while_the_file_is_open(
    names: Watched, flags: int, act: Callable[[int], object]
) -> None:
    def check(fd: int) -> None:
        assert names.drain() == Changes()
        act(fd)
        assert names.drain().written == {b"": {b"file"}}

    try:
        _open(names.path / "file", flags, check)
    except OSError as error:
        pytest.skip(f"not on this file system: {error}")


def test_a_file_that_is_written_to_by_a_name_that_it_had_is_told_by_another(names: Watched) -> None:
    os.link(names.path / "file", names.path / "dir" / "link")

    def check(fd: int) -> None:
        (names.path / "file").unlink()
        names.drain()
        os.pwrite(fd, b"x", 5000)
        assert names.drain().written[b"dir"] == {b"link"}

    _open(names.path / "file", os.O_WRONLY, check)


def test_a_reflink_is_told(disk: Path, watch: Watch) -> None:
    (disk / "from").write_bytes(os.urandom(1 << 20))
    watched = watch(disk)
    done = run(["cp", "--reflink=always", str(disk / "from"), str(disk / "to")], ok=(0, 1))
    if done.status:
        pytest.skip("this file system shares no blocks")
    assert watched.drain().written == {b"": {b"to"}}


def test_flags_that_chattr_sets_are_not_told(names: Watched) -> None:
    run(["chattr", "+d", str(names.path / "file")], ok=(0, 1))
    assert names.drain() == Changes()


def test_reading_changes_nothing(names: Watched) -> None:
    (names.path / "file").read_bytes()
    sorted(names.path.rglob("*"))
    assert names.drain() == Changes()


def test_processes_that_are_ignored_are_not_told(ext4: Path) -> None:
    with opened(ext4) as fd, Capture(ranges=False, ignored=[os.getpid()]) as capture:
        capture.watch(NAME, fd)
        (ext4 / "ours").write_bytes(b"x")
        run(["touch", str(ext4 / "theirs")])
        (changes,) = capture.drain().values()
    assert changes.appeared == {b"": {b"theirs"}}


def test_however_much_waits_it_is_all_drained(ext4: Path, watch: Watch) -> None:
    watched = watch(ext4)
    wanted = {b"%d" % number for number in range(10_000)}
    for name in wanted:
        os.mknod(os.fsencode(ext4) + b"/" + name)
    assert watched.drain() == Changes(appeared={b"": wanted})


def test_an_overflow_of_the_kernels_queue_is_a_loss(ext4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = int(Path("/proc/sys/fs/fanotify/max_queued_events").read_text())
    monkeypatch.setattr(fanotify, "_INIT", fanotify._INIT & ~fanotify._UNLIMITED_QUEUE)
    with opened(ext4) as fd, Capture(ranges=False) as capture:
        capture.watch(NAME, fd)
        for number in range(limit + 1):
            os.mknod(ext4 / f"{number}")
        assert capture.drain() == {NAME: Changes(lost=True)}
        assert capture.statistics.overflows == 1
        (ext4 / "later").touch()
        assert capture.drain()[NAME].appeared == {b"": {b"later"}}


def test_more_names_than_may_wait_are_a_loss(names: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "MOST_WAITING", 5)
    for number in range(6):
        (names.path / f"{number}").touch()
    assert names.drain() == Changes(lost=True)
    assert names.capture.statistics.waiting == 0
    (names.path / "later").touch()
    assert names.drain().appeared == {b"": {b"later"}}


def test_what_has_no_handles_cannot_be_watched() -> None:
    with opened(Path("/proc")) as fd, Capture(ranges=False) as capture, pytest.raises(NotWatchable) as caught:
        capture.watch(NAME, fd)
    assert caught.value.hint


def test_a_root_that_is_forgotten_is_told_of_no_more(ext4: Path, tmp_path: Path) -> None:
    (ext4 / "sub").mkdir()
    with opened(ext4) as top, opened(ext4 / "sub") as sub, Capture(ranges=False) as capture:
        capture.watch("top", top)
        capture.watch("sub", sub)
        capture.forget("top")
        (ext4 / "sub" / "file").mkdir()
        assert capture.drain() == {"sub": Changes(appeared={b"": {b"file"}})}
        capture.forget("sub")
        (ext4 / "sub" / "file").rmdir()
        before = capture.statistics.events
        assert capture.drain() == {}
        assert capture.statistics.events == before


def test_locking_and_syncing_change_nothing(names: Watched) -> None:
    fd = os.open(names.path / "file", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.fsync(fd)
    os.close(fd)
    assert names.drain() == Changes()


_ATTRIBUTES: list[Callable[[Path], object]] = [
    os.utime,
    lambda path: path.chmod(0o4711),
    lambda path: os.chown(path, 1, 2),
    lambda path: os.setxattr(path, "user.name", b"value"),
]


@pytest.mark.parametrize("ranges", [False, True])
@pytest.mark.parametrize("change", _ATTRIBUTES)
@pytest.mark.parametrize("remove", [lambda path: path.unlink(), lambda path: shutil.rmtree(path.parent)])
def test_what_changes_by_a_name_that_goes_is_told_by_another(
    disk: Path,
    watch: Watch,
    change: Callable[[Path], object],
    remove: Callable[[Path], object],
    ranges: bool,
) -> None:
    """Also when the directory of the first is gone, and nothing can be told of it any more."""
    (disk / "dir").mkdir()
    (disk / "file").touch()
    os.link(disk / "file", disk / "dir" / "name")
    names = watch(disk, ranges=ranges)
    change(disk / "dir" / "name")
    remove(disk / "dir" / "name")
    changes = names.drain()
    inodes = {file.inode for file in (*changes.files, *changes.ranges)}
    assert b"file" in changes.names.get(b"", set()) or (disk / "file").stat().st_ino in inodes


@pytest.mark.parametrize("ranges", [False, True])
def test_what_changed_by_a_name_that_goes_after_it_was_told_is_told_by_another(
    disk: Path, watch: Watch, ranges: bool
) -> None:
    """Nobody may have looked at it before."""
    (disk / "file").touch()
    os.link(disk / "file", disk / "name")
    names = watch(disk, ranges=ranges)
    os.setxattr(disk / "name", "user.name", b"value")
    assert b"name" in names.drain().names[b""]
    (disk / "name").unlink()
    assert b"file" in names.drain().names[b""]
    assert names.drain().names == {}
