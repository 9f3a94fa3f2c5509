"""Real file systems on loop devices, and a capture that watches one of them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.capture.capture import Capture
from dtesx.capture.changes import Changes, Names

_MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-O", "^has_journal"],
    "xfs": ["mkfs.xfs", "-q"],
    "btrfs": ["mkfs.btrfs", "-q"],
}
_SIZE = 320 << 20
NAME = "/data"
_RENAME_EXCHANGE = 2  # linux/fs.h

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def mounted(kind: str, where: Path, *options: str) -> Iterator[Path]:
    """A new file system of ``kind`` at ``where``, which is made."""
    where.mkdir()
    image = where.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(_SIZE)
    run([*_MAKE[kind], str(image)])
    run(["mount", "-o", ",".join(("loop", *options)), str(image), str(where)])
    try:
        yield where
    finally:
        # A test that failed may still have something open there.
        run(["umount", "--lazy", str(where)])
        image.unlink()


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of a directory."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@dataclass
class Watched:
    """A directory whose changes are captured."""

    path: Path
    capture: Capture

    def drain(self) -> Changes:
        """What changed below the directory since the last time."""
        return self.capture.drain().get(NAME, Changes())


def exchange(one: Path, other: Path) -> None:
    """Exchange two names."""
    here = ctypes.c_int(-100)
    flags = ctypes.c_uint(_RENAME_EXCHANGE)
    done = _libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), flags)
    assert done == 0, os.strerror(ctypes.get_errno())


def touched(changes: Changes) -> Names:
    """All names of which something is told that does not concern their content alone."""
    found: Names = {}
    for names in (changes.appeared, changes.names):
        for directory, some in names.items():
            found.setdefault(directory, set()).update(some)
    return found


@pytest.fixture(params=["ext4", "xfs", "btrfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with mounted(request.param, tmp_path / "disk") as where:
        yield where


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Path]:
    with mounted("ext4", tmp_path / "disk") as where:
        yield where


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    with mounted("btrfs", tmp_path / "disk") as where:
        yield where


Watch = Callable[..., Watched]


@pytest.fixture
def watch() -> Iterator[Watch]:
    with ExitStack() as stack:

        def start(path: Path, *, ranges: bool = False, ignored: Iterable[int] = ()) -> Watched:
            capture = stack.enter_context(Capture(ranges=ranges, ignored=ignored))
            capture.watch(NAME, stack.enter_context(opened(path)))
            return Watched(path, capture)

        yield start


@pytest.fixture
def names(disk: Path, watch: Watch) -> Watched:
    """A file system of each kind, with some files, whose names are watched."""
    _fill(disk)
    return watch(disk)


@pytest.fixture
def ranges(disk: Path, watch: Watch) -> Watched:
    """The same, with the byte ranges."""
    _fill(disk)
    return watch(disk, ranges=True)


def _fill(disk: Path) -> None:
    (disk / "dir" / "sub").mkdir(parents=True)
    (disk / "file").write_bytes(b"a" * (1 << 20))
    (disk / "dir" / "other").write_bytes(b"other")
