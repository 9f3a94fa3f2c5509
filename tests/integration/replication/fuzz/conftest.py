"""What must stay as it is while somebody means harm, and a site whose two ends can be such."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.replication.conftest import Site

SECRET = b"the secret of a file outside, which nobody may read"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What lies beside source and target: files, directories, and links into both trees."""
    root = tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    for path in (root / "secret", root / "sub" / "file"):
        path.write_bytes(SECRET)
    os.link(root / "secret", root / "second-name")
    os.symlink(tmp_path / "source", root / "link")
    for path in (root / "secret", root / "sub" / "file", root / "sub", root):
        os.utime(path, ns=(5, 5))
    return root


def state(root: Path) -> list[tuple[object, ...]]:
    """Everything that can be told of a tree, but times of access: who reads it is not always us."""
    found = []
    for directory, names, files in os.walk(root):
        for name in (".", *names, *files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            kept = (
                status.st_ino,
                status.st_mode,
                status.st_nlink,
                status.st_uid,
                status.st_gid,
                status.st_size,
            )
            found.append((path, *kept, status.st_mtime_ns, status.st_ctime_ns))
    return sorted(found)


_LIBC = ctypes.CDLL(None, use_errno=True)
_FAN_CLOEXEC, _FAN_NONBLOCK = 1, 2
_FAN_MARK_ADD, _FAN_OPEN, _FAN_EVENT_ON_CHILD = 1, 0x20, 0x08000000
_EVENT = struct.Struct("=IBBHQii")


@contextmanager
def unopened(*directories: Path) -> Iterator[None]:
    """Fails when this process opens a file in one of the directories (fanotify(7))."""
    watch = _LIBC.fanotify_init(_FAN_CLOEXEC | _FAN_NONBLOCK, os.O_RDONLY | os.O_CLOEXEC)
    assert watch >= 0, os.strerror(ctypes.get_errno())
    try:
        for path in map(os.fsencode, directories):
            mask = ctypes.c_uint64(_FAN_OPEN | _FAN_EVENT_ON_CHILD)
            assert not _LIBC.fanotify_mark(watch, _FAN_MARK_ADD, mask, -100, path)
        yield
        assert os.getpid() not in _openers(watch)
    finally:
        os.close(watch)


def _openers(watch: int) -> set[int]:
    found = set[int]()
    while True:
        try:
            data = os.read(watch, 1 << 16)
        except BlockingIOError:
            return found
        for _, _, _, _, _, fd, pid in _EVENT.iter_unpack(data):
            os.close(fd)
            found.add(pid)


@pytest.fixture
def guarded(site: Site, outside: Path) -> Iterator[Site]:
    """A site; at the end nothing outside has changed, and no file there has been read."""
    before = state(outside)
    beside = set(os.listdir(site.target.parent))
    with unopened(outside, outside / "sub"):
        yield site
    assert state(outside) == before
    new = set(os.listdir(site.target.parent)) - beside
    assert new <= {"roots.json", "target.orphans", "catalogues"}


@pytest.fixture
def tree(guarded: Site, outside: Path) -> Site:
    """A source with files large and small, and links to what lies outside."""
    source = guarded.source
    (source / "sub" / "below").mkdir(parents=True)
    for path in (source / "file", source / "sub" / "file"):
        path.write_bytes(b"small")
    for path in (source / "large", source / "sub" / "below" / "large"):
        path.write_bytes(bytes(range(256)) * 2800)
    (source / "away").symlink_to(outside)
    (source / "to-secret").symlink_to(outside / "secret")
    (source / "sub" / "file2").symlink_to("../../outside/secret")
    return guarded


def still_serves(site: Site) -> None:
    """The next honest mirror makes all equal again."""
    (site.source / "after").write_bytes(os.urandom(8))
    assert site.mirror(rebind=True).problems == ()
    assert site.differences() == ""
