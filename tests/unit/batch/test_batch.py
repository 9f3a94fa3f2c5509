"""The extension does what the code for single files does, or leaves it alone."""

from __future__ import annotations

import os
import resource
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx import batch
from dtesx.mirror.content import DENSE
from dtesx.mirror.scan import Scanner, WalkOptions
from dtesx.mirror.state import State, look
from dtesx.wire.items import OWN_XATTRS, TEMPORARY_PREFIX, Item
from dtesx.wire.operations import Abort, Make, Operation, Put

pytestmark = pytest.mark.skipif(batch.native is None, reason="the extension was not built")

_SETTABLE = 0x10
_ATTRIBUTES = {
    "attribute": {b"user.x": b"y"},
    "attributes": {b"user.3": b"\0", b"user.1": b"", b"user.2": b"xx"},
    "many": {b"user.%d" % number: b"y" for number in range(20)},
    "large": {b"user.x": bytes(1500)},
    "own": {b"user.x": b"y", OWN_XATTRS + b"x": b"y"},
    "hidden": {b"trusted.SGI_ACL_FILE": b"y", b"user.x": b"y"},
}
_KINDS = (
    *("file", "empty", "old", "link", "symlink", "directory", "fifo", "socket", "leftover"),
    *_ATTRIBUTES,
)
_NAMES = st.binary(min_size=1, max_size=255).filter(
    lambda name: not set(name) & set(b"/\0") and name not in (b".", b"..")
)


@contextmanager
def _directory() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as path:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)


def _write(fd: int, name: bytes, data: bytes = b"content") -> None:
    with open(os.open(name, os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=fd), "wb") as file:
        file.write(data)


def _make(fd: int, name: bytes, kind: str) -> None:
    path = b"/proc/self/fd/%d/%s" % (fd, name)
    if kind == "symlink":
        os.symlink(b"\xff somewhere", name, dir_fd=fd)
    elif kind == "directory":
        os.mkdir(name, dir_fd=fd)
    elif kind == "fifo":
        os.mkfifo(name, dir_fd=fd)
    elif kind == "socket":
        os.mknod(name, 0o140600, dir_fd=fd)
    elif kind == "leftover":
        _write(fd, TEMPORARY_PREFIX + name[:200])
    else:
        _write(fd, name, b"" if kind == "empty" else os.urandom(len(name)))
    if kind == "old":
        os.utime(name, ns=(-(10**18), -(10**18) - 1), dir_fd=fd)
    elif kind == "link":
        os.link(name, name[:200] + b".link", src_dir_fd=fd, dst_dir_fd=fd)
    with suppress(PermissionError):  # only root may make our own ones
        for attribute, value in _ATTRIBUTES.get(kind, {}).items():
            os.setxattr(path, attribute, value)


def _seen(fd: int, *, pure: bool) -> tuple[object, ...]:
    """What a scan finds, with the state that it adds up to."""
    with pytest.MonkeyPatch.context() as patch:
        if pure:
            patch.setattr(batch, "native", None)
        problems: list[tuple[bytes, str]] = []
        leftovers: list[bytes] = []
        options = WalkOptions(
            problem=lambda path, reason: problems.append((path, reason)),
            reserved=lambda _fd, name: leftovers.append(name),
        )
        visit = Scanner(fd, options).look(b"", fd, None)
        visit.hidden.clear()
        visit.state = State(visit.status, visit.names)
        items = list(visit.entries)
        other = State(visit.status, visit.names)
        below = look(other, fd, visit.names, visit.status.st_dev)
        state = visit.state.digest() if not leftovers else b""
        return items, visit.below, visit.sockets, problems, leftovers, state, other.digest(), below


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(_NAMES, st.sampled_from(_KINDS), max_size=12))
def test_both_find_the_same(names: dict[bytes, str]) -> None:
    with _directory() as fd:
        for name, kind in names.items():
            try:
                _make(fd, name, kind)
            except FileExistsError:
                continue
        assert _seen(fd, pure=False) == _seen(fd, pure=True)


def _items(fd: int) -> list[Item]:
    options = WalkOptions(problem=lambda path, reason: pytest.fail(f"{path!r}: {reason}"))
    visit = Scanner(fd, options).look(b"", fd, None)
    visit.hidden.clear()
    return list(visit.entries)


def _read(fd: int, items: list[Item]) -> tuple[list[Put | None], bytes]:
    assert batch.native is not None
    return batch.native.read(fd, items, DENSE, Put)


def test_contents_come_one_after_another_with_what_the_file_is() -> None:
    with _directory() as fd:
        for name, data in ((b"a", b"123"), (b"b", b""), (b"c", b"x" * 100_000)):
            _write(fd, name, data)
            os.utime(name, ns=(5, 6), dir_fd=fd)
        items = _items(fd)
        puts, contents = _read(fd, items)
        assert [put and put.item for put in puts] == items
        assert [put and put.atime_ns for put in puts] == [5, 5, 5]
        assert contents == b"123" + b"x" * 100_000


@pytest.mark.parametrize("change", ["gone", "longer", "shorter", "mode", "time", "symlink", "fifo", "socket"])
def test_what_changed_since_it_was_seen_is_left_alone(change: str) -> None:
    with _directory() as fd, socket.socket(socket.AF_UNIX) as listener:
        for name in (b"a", b"b", b"c"):
            _write(fd, name, name * 3)
        items = _items(fd)
        if change in ("longer", "shorter"):
            status = os.stat("b", dir_fd=fd)
            _write(fd, b"b", b"12345") if change == "longer" else os.truncate(f"/proc/self/fd/{fd}/b", 1)
            os.utime("b", ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=fd)
        elif change == "mode":
            os.chmod("b", 0o600, dir_fd=fd)
        elif change == "time":
            os.utime("b", ns=(1, 1), dir_fd=fd)
        else:
            os.unlink("b", dir_fd=fd)
        if change == "symlink":
            os.symlink("a", "b", dir_fd=fd)
        elif change == "fifo":
            os.mkfifo("b", dir_fd=fd)
        elif change == "socket":
            listener.bind(f"/proc/self/fd/{fd}/b")
        puts, contents = _read(fd, items)
        assert [put is None for put in puts] == [False, True, False]
        assert contents == b"aaaccc"


def test_files_with_holes_are_left_to_who_keeps_them() -> None:
    with _directory() as fd:
        for name, size in (("small", DENSE), ("large", 3 * DENSE)):
            _write(fd, name.encode(), b"")
            os.truncate(f"/proc/self/fd/{fd}/{name}", size)
        puts, contents = _read(fd, _items(fd))
        assert [put is None for put in puts] == [True, False]
        assert contents == bytes(DENSE)


def _put(name: bytes, size: int, **changes: int) -> Put:
    uid, gid = changes.get("uid", os.geteuid()), changes.get("gid", os.getegid())
    item = Item(name, changes.get("mode", 0o100640), uid, gid, changes.get("mtime_ns", 7), size)
    return Put(item, changes.get("atime_ns", 8), changes.get("flags", 0))


def _apply(fd: int, operations: list[Operation], content: bytes, number: int = 0) -> tuple[int, int]:
    assert batch.native is not None
    before = os.umask(0)
    try:
        own = (os.geteuid(), os.getegid())
        view = memoryview(content)
        return batch.native.put(fd, operations, number, Put, Make, view, 0, *own, _SETTABLE, TEMPORARY_PREFIX)
    finally:
        os.umask(before)


def test_files_are_made_with_everything_about_them() -> None:
    with _directory() as fd:
        modes = (0o100000, 0o100777, 0o106755, 0o101600)
        operations: list[Operation] = [
            _put(b"%o" % mode, 3, mode=mode, mtime_ns=-1, atime_ns=10**18 + 1) for mode in modes
        ]
        assert _apply(fd, [Abort(), *operations], b"abcdefghijklm", 1) == (4, 12)
        for mode, data in zip(modes, (b"abc", b"def", b"ghi", b"jkl"), strict=True):
            status = os.stat(b"%o" % mode, dir_fd=fd)
            assert (status.st_mode, status.st_mtime_ns, status.st_atime_ns) == (mode, -1, 10**18 + 1)
            with open(os.open(b"%o" % mode, os.O_RDONLY, dir_fd=fd), "rb") as file:
                assert file.read() == data


def _link(name: bytes, target: bytes, mode: int = 0o120777, **changes: int) -> Make:
    uid, gid = changes.get("uid", os.geteuid()), changes.get("gid", os.getegid())
    return Make(Item(name, mode, uid, gid, changes.get("mtime_ns", 7), target=target))


def test_symlinks_are_made_between_files_with_their_times() -> None:
    with _directory() as fd:
        operations: list[Operation] = [_put(b"a", 1), _link(b"b", b"\xff/..", mtime_ns=-1), _put(b"c", 2)]
        assert _apply(fd, operations, b"xyz") == (3, 3)
        status = os.stat("b", dir_fd=fd, follow_symlinks=False)
        assert (os.readlink(b"b", dir_fd=fd), status.st_mtime_ns) == (b"\xff/..", -1)
        with open(os.open("c", os.O_RDONLY, dir_fd=fd), "rb") as file:
            assert file.read() == b"yz"


def test_names_are_sorted_and_the_next_to_list_them_finds_them_all() -> None:
    assert batch.native is not None
    with _directory() as fd:
        made = sorted(b"%d" % number + b"x" * (number % 200) for number in range(3000))
        for name in made:
            os.mknod(name, 0o100600, dir_fd=fd)
        for _ in range(2):
            assert batch.native.names(fd) == made
            assert sorted(map(os.fsencode, os.listdir(fd))) == made


def test_what_is_no_directory_has_no_names() -> None:
    assert batch.native is not None
    with tempfile.TemporaryFile() as file, pytest.raises(NotADirectoryError):
        batch.native.names(file.fileno())
    with pytest.raises(OSError, match="Bad file descriptor"):
        batch.native.names(-1)


def test_a_buffer_has_the_size_asked_for() -> None:
    assert batch.native is not None
    assert [len(batch.native.room(size)) for size in (0, 1, 1 << 20)] == [0, 1, 1 << 20]
    with pytest.raises(ValueError, match="less than nothing"):
        batch.native.room(-1)


def test_extended_attributes_are_set_before_the_times() -> None:
    xattrs = ((b"user.x", b""), (b"user.y", b"\0\xff"))
    with _directory() as fd:
        item = Item(b"a", 0o104755, os.geteuid(), os.getegid(), 7, 1, xattrs=xattrs)
        assert _apply(fd, [Put(item, 8), _put(b"b", 1)], b"12") == (2, 2)
        assert _items(fd)[0] == item


@pytest.mark.parametrize(
    "stopper",
    [
        Abort(),
        _put(b"there", 1),
        _put(b"", 1),
        _put(b".", 1),
        _put(b"..", 1),
        _put(b"../out", 1),
        _put(b"a\0b", 1),
        _put(b"x" * 256, 1),
        _put(TEMPORARY_PREFIX + b"1", 1),
        _put(b"new", 1, mode=0o020644),
        _put(b"new", 1, mode=0o040755),
        _put(b"new", 1, mode=1 << 40),
        _put(b"new", 1, mode=-1),
        _put(b"new", 1, uid=(1 << 32) - 1),
        _put(b"new", 1, gid=1 << 32),
        _put(b"new", 1, mtime_ns=1 << 63),
        _put(b"new", 1, flags=_SETTABLE),
        _put(b"new", 100),
        _put(b"new", -1),
        Put(Item(b"new", 0o100600, 0, 0, 1, 1, xattrs=((b"nonsense", b"y"),)), 1),
        Put(Item(b"new", 0o100600, 0, 0, 1, 1, xattrs=((b"user.\0", b"y"),)), 1),
        Put(Item(b"new", 0o100600, 0, 0, 1, 1, xattrs=tuple((b"user.%d" % n, b"") for n in range(9))), 1),
        _link(b"there", b"x"),
        _link(b"../out", b"x"),
        _link(b"new", b""),
        _link(b"new", b"a\0b"),
        _link(b"new", b"x", mode=0o010600),
        _link(b"new", b"x", mode=0o040755),
        Make(Item(b"new", 0o120777, 0, 0, 1, target=b"x", xattrs=((b"trusted.x", b"y"),))),
    ],
)
def test_whatever_is_not_plain_ends_the_run_and_leaves_nothing(stopper: Operation) -> None:
    with _directory() as fd:
        _write(fd, b"there")
        operations = [_put(b"first", 1), stopper, _put(b"last", 1)]
        assert _apply(fd, operations, b"123") == (1, 1)
        assert sorted(os.listdir(fd)) == ["first", "there"]
        assert _apply(fd, operations, b"123", 1) == (0, 0)


def test_a_file_that_cannot_be_written_whole_is_not_there() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        with _directory() as fd:
            operations: list[Operation] = [_put(b"short", 10), _put(b"long", 5000)]
            assert _apply(fd, operations, bytes(6000)) == (1, 10)
            assert os.listdir(fd) == ["short"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_nonsense_is_an_error_and_no_crash() -> None:
    assert batch.native is not None
    with _directory() as fd:
        for names in ([b"a\0b"], ["text"], [None]):
            with pytest.raises(ValueError, match="zero byte"):
                batch.native.facts(fd, names, 0)  # type: ignore[arg-type]
        puts, contents = batch.native.read(fd, [None, "text", Item(b"x", 1, 1, 1, 1, -5)], DENSE, Put)
        assert (puts, contents) == ([None, None, None], b"")
        content = memoryview(b"abc")
        for at in (-1, 4):
            with pytest.raises(ValueError, match="beyond"):
                batch.native.put(fd, [_put(b"x", 1)], 0, Put, Make, content, at, 0, 0, 0, TEMPORARY_PREFIX)
