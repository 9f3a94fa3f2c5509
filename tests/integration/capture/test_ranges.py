"""Which bytes each operation is told to change, on each file system."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.capture import dirtied
from dtesx.capture.capture import Capture
from dtesx.capture.changes import Changes, FileId
from dtesx.model.spans import Spans

from .conftest import NAME, Watch, Watched, opened, touched

pytestmark = pytest.mark.integration

_libc = ctypes.CDLL(None, use_errno=True)
_KEEP_SIZE, _PUNCH, _COLLAPSE, _ZERO, _INSERT = 1, 2, 8, 16, 32
_SIZE = 1 << 20


@contextmanager
def _file(path: Path, flags: int = os.O_RDWR) -> Iterator[int]:
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def _fallocate(mode: int, offset: int, length: int) -> Callable[[Path], None]:
    def act(path: Path) -> None:
        with _file(path) as fd:
            done = _libc.fallocate(
                ctypes.c_int(fd), ctypes.c_int(mode), ctypes.c_long(offset), ctypes.c_long(length)
            )
            if done < 0:
                raise OSError(ctypes.get_errno(), "fallocate")

    return act


def _write(path: Path) -> None:
    with _file(path) as fd:
        os.pwrite(fd, b"x", 200_000)


def _append(path: Path) -> None:
    with _file(path, os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"x" * 5000)


def _store(path: Path) -> None:
    with _file(path) as fd, mmap.mmap(fd, _SIZE) as mapped:
        mapped[300_000] = 0


def _direct(path: Path) -> None:
    with _file(path, os.O_RDWR | os.O_DIRECT) as fd, mmap.mmap(-1, 8192) as buffer:
        os.pwritev(fd, [buffer], 65536)


def _send(path: Path) -> None:
    with _file(path.with_name("other-megabyte")) as source, _file(path) as fd:
        os.lseek(fd, 8192, os.SEEK_SET)
        os.sendfile(fd, source, 0, 4096)


def _copy_range(path: Path) -> None:
    with _file(path.with_name("other-megabyte")) as source, _file(path) as fd:
        os.copy_file_range(source, fd, 65536, 0, 131072)


def _cut_and_grow(path: Path) -> None:
    os.truncate(path, 100_000)
    os.truncate(path, _SIZE)


def _reflink(path: Path) -> None:
    run(["cp", "--reflink=always", str(path.with_name("other-megabyte")), str(path)])


OPERATIONS: dict[str, Callable[[Path], None]] = {
    "write": _write,
    "append": _append,
    "store": _store,
    "direct": _direct,
    "sendfile": _send,
    "copy_file_range": _copy_range,
    "cut and grow": _cut_and_grow,
    "reflink": _reflink,
    "punch": _fallocate(_PUNCH | _KEEP_SIZE, 131072, 65536),
    "zero": _fallocate(_ZERO, 131072, 65536),
    "collapse": _fallocate(_COLLAPSE, 131072, 65536),
    "insert": _fallocate(_INSERT, 131072, 65536),
}


@pytest.fixture
def megabytes(disk: Path, watch: Watch) -> Watched:
    """Two files of a megabyte, clean, watched."""
    for name in ("file", "other-megabyte"):
        (disk / name).write_bytes(os.urandom(_SIZE))
    return watch(disk, ranges=True)


def _covered(spans: Spans, before: bytes, after: bytes) -> bool:
    """Whether all that differs is in the ranges."""
    length = max(len(before), len(after))
    patched = bytearray(before.ljust(length, b"\0"))
    for start, end in spans:
        patched[start:end] = after[start:end].ljust(min(end, length) - start, b"\0")
    return bytes(patched[: len(after)]) == after


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_what_differs_afterwards_is_told(megabytes: Watched, operation: Callable[[Path], None]) -> None:
    path = megabytes.path / "file"
    before = path.read_bytes()
    try:
        operation(path)
    except OSError as error:
        pytest.skip(f"not on this file system: {error}")
    except Exception as error:
        if "cp" not in str(error):
            raise
        pytest.skip("this file system shares no blocks")
    after = path.read_bytes()
    assert after != before
    found = megabytes.drain()
    file = _identity(megabytes)
    assert found.written == {b"": {b"file"}} or _covered(found.ranges.get(file, ()), before, after)
    assert {other for other, spans in found.ranges.items() if spans} <= {file}
    assert not found.lost
    assert megabytes.drain() == Changes()


def _grow(path: Path) -> None:
    os.truncate(path, 3 * _SIZE)


def _stamp(path: Path) -> None:
    os.utime(path, ns=(path.stat().st_atime_ns, 5))


def _stamp_alone(path: Path) -> None:
    """As `touch -m`, which leaves the other time out (UTIME_OMIT)."""
    run(["touch", "-m", "-d", "2001-01-01", str(path)])


ATTRIBUTES: dict[str, Callable[[Path], None]] = {
    "grow": _grow,
    "allocate more": _fallocate(0, _SIZE, _SIZE),
    "allocate behind the end": _fallocate(_KEEP_SIZE, _SIZE, _SIZE),
    "times": _stamp,
    "one time": _stamp_alone,
}


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("operation", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_what_changes_no_byte_is_told(
    megabytes: Watched, operation: Callable[[Path], None], held: bool
) -> None:
    """Also of a file that somebody has open and never closes."""
    path = megabytes.path / "file"
    with ExitStack() as stack:
        if held:
            stack.enter_context(_file(path))
        operation(path)
        found, file = megabytes.drain(), _identity(megabytes)
        names = touched(found).get(b"", set()) | found.written.get(b"", set())
        assert file in found.ranges or b"file" in names
        assert not found.ranges.get(file)
        assert not found.lost
        assert megabytes.capture.locate(NAME, file) == b"file"


def test_xfs_tells_of_flags(megabytes: Watched) -> None:
    if run(["stat", "-f", "-c", "%T", str(megabytes.path)]).text.strip() != "xfs":
        pytest.skip("nobody tells of flags on this file system")
    run(["chattr", "+d", str(megabytes.path / "file")])
    assert megabytes.drain().ranges == {_identity(megabytes): ()}


def _identity(watched: Watched, name: bytes = b"file") -> FileId:
    with opened(watched.path) as fd:
        found = watched.capture.identify(NAME, fd, name)
    assert found is not None
    return found


def test_a_write_is_told_by_its_pages(megabytes: Watched) -> None:
    path = megabytes.path / "file"
    _direct(path)
    (spans,) = megabytes.drain().ranges.values()
    if len(spans) == 1 and spans[0] != (65536, 73728):
        pytest.skip("this file system goes through the page cache")
    assert spans == ((65536, 73728),)


def test_reading_is_not_told(megabytes: Watched) -> None:
    path = megabytes.path / "file"
    with _file(path, os.O_RDONLY) as fd:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    path.read_bytes()
    with _file(path, os.O_RDONLY | os.O_DIRECT) as fd, mmap.mmap(-1, 8192) as buffer:
        os.preadv(fd, [buffer], 65536)
    assert megabytes.drain() == Changes()


def test_other_file_systems_are_not_told(megabytes: Watched, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x" * 100_000)
    assert megabytes.drain() == Changes()


def test_a_removed_file_is_told_by_its_name_only(megabytes: Watched) -> None:
    with _file(megabytes.path / "file") as fd:
        (megabytes.path / "file").unlink()
        os.pwrite(fd, b"x", 0)
    found = megabytes.drain()
    assert (found.names, found.ranges) == ({b"": {b"file"}}, {})


def test_a_file_is_found_by_its_identity(ranges: Watched) -> None:
    file = ranges.path / "dir" / "other"
    with opened(ranges.path / "dir") as fd:
        identity = ranges.capture.identify(NAME, fd, b"other")
    assert identity is not None
    assert ranges.capture.locate(NAME, identity) == b"dir/other"
    (ranges.path / "dir").rename(ranges.path / "moved")
    assert ranges.capture.locate(NAME, identity) == b"moved/other"
    (ranges.path / "moved" / "other").unlink()
    with pytest.raises(OSError, match="Stale"):
        ranges.capture.locate(NAME, identity)
    assert not file.exists()


def test_a_written_file_is_found_when_nobody_uses_it_any_more(ranges: Watched) -> None:
    with _file(ranges.path / "dir" / "other") as fd:
        os.pwrite(fd, b"x", 0)
    # With this the kernel forgets the names of all files that are not in use.
    run(["mount", "-o", "remount", str(ranges.path)])
    (file,) = ranges.drain().ranges
    assert ranges.capture.locate(NAME, file) == b"dir/other"


def test_a_name_that_another_file_got_is_not_given_for_the_first(ranges: Watched) -> None:
    root = ranges.path
    os.link(root / "dir" / "other", root / "link")
    with _file(root / "dir" / "other") as fd:
        os.pwrite(fd, b"x", 0)
        (root / "dir" / "other").unlink()
        (root / "dir" / "other").write_bytes(b"a new one")
        identity = _identity(ranges, b"link")
        assert identity in ranges.drain().ranges
        assert ranges.capture.locate(NAME, identity) != b"dir/other"


def test_a_forgotten_root_is_told_of_no_more(ranges: Watched) -> None:
    ranges.capture.forget(NAME)
    (ranges.path / "file").write_bytes(b"x")
    assert ranges.capture.drain() == {}


def test_more_ranges_than_may_wait_are_a_loss(
    disk: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dirtied, "MOST_RANGES", 256)
    for number in range(300):
        (disk / f"{number}").write_bytes(b"x" * 5000)
    watched = watch(disk, ranges=True)
    for number in range(300):
        with _file(disk / f"{number}") as fd:
            os.pwrite(fd, b"y", 0)
    assert watched.drain().lost
    with _file(disk / "7") as fd:
        os.fsync(fd)
        os.pwrite(fd, b"z", 0)
    found = watched.drain()
    assert (set(found.ranges), found.lost) == ({_identity(watched, b"7")}, False)


def test_processes_that_are_ignored_are_not_told(ext4: Path) -> None:
    (ext4 / "file").write_bytes(b"x" * 10_000)
    with opened(ext4) as fd, Capture(ignored=[os.getpid()]) as capture:
        capture.watch(NAME, fd)
        with _file(ext4 / "file") as file:
            os.pwrite(file, b"y", 0)
        assert capture.drain() == {}
        os.sync()
        subprocess.run(
            ["dd", f"of={ext4}/file", "if=/dev/zero", "bs=1", "count=1", "status=none"], check=True
        )
        assert capture.drain()[NAME].ranges
