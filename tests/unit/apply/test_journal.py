from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtesx.apply.journal import PREFIX, Journal, complete
from dtesx.apply.leftovers import tidy_directory
from dtesx.base import holes

OLD = bytes(range(256)) * 64


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def change(directory: int, path: Path, size: int = 20_000, *, hides: bool = False) -> None:
    """Two pieces and a hole; whatever happens, the journal stays as a killed process leaves it."""
    path.write_bytes(OLD)
    fd = os.open(path, os.O_RDWR)
    try:
        changes = Journal(directory, os.fsencode(path.name), fd, b".dtesx-tmp.1.1", hides=hides)
        changes.data(10, memoryview(b"first"))
        changes.hole(4096, 4096)
        changes.data(18_000, memoryview(b"second"))
        changes.carry_out(size)
    finally:
        os.close(fd)


def changed(size: int = 20_000) -> bytes:
    new = bytearray(OLD.ljust(size, b"\0"))
    new[10:15], new[4096:8192], new[18_000:18_006] = b"first", bytes(4096), b"second"
    return bytes(new[:size])


def leftover(tmp_path: Path) -> bytes:
    (path,) = tmp_path.glob(f"{PREFIX.decode()}*")
    return os.fsencode(path.name)


def test_changes_are_carried_out(tmp_path: Path, directory: int) -> None:
    change(directory, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == changed()
    (tmp_path / "file").write_bytes(OLD)
    complete(directory, leftover(tmp_path))
    assert (tmp_path / "file").read_bytes() == changed()


class Killed(Exception):
    pass


@pytest.mark.parametrize("hides", [False, True])
def test_killed_at_every_write_a_file_is_old_or_can_be_completed(
    tmp_path: Path, directory: int, monkeypatch: pytest.MonkeyPatch, hides: bool
) -> None:
    """Each write may stop in the middle; afterwards the file is whole, in the old state or the new."""
    seen = set()
    kills = 0
    before = os.pwrite
    for half in (False, True):
        for at in range(1, 1000):
            calls = 0

            def dying(fd: int, data: Any, offset: int, at: int = at, half: bool = half) -> int:
                nonlocal calls
                calls += 1
                if calls == at:
                    if half:
                        before(fd, data[: len(data) // 2], offset)
                    raise Killed
                return before(fd, data, offset)

            try:
                with monkeypatch.context() as patch:
                    patch.setattr(os, "pwrite", dying)
                    change(directory, tmp_path / "file", hides=hides)
            except Killed:
                kills += 1
            if hides and (tmp_path / "file").exists():
                assert (tmp_path / "file").read_bytes() == OLD
            name = leftover(tmp_path)
            complete(directory, name)
            os.unlink(tmp_path / os.fsdecode(name))
            content = (tmp_path / "file").read_bytes()
            assert content in (OLD, changed())
            seen.add(content)
            if calls < at:
                break
    assert len(seen) == 2
    assert kills >= 16


def test_a_broken_journal_changes_nothing(tmp_path: Path, directory: int) -> None:
    change(directory, tmp_path / "file")
    name = leftover(tmp_path)
    whole = (tmp_path / os.fsdecode(name)).read_bytes()

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, len(whole) - 1), st.integers(1, 255), st.booleans())
    def tear(at: int, flip: int, cut: bool) -> None:
        torn = whole[:at] if cut else whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
        (tmp_path / "file").write_bytes(OLD)
        (tmp_path / os.fsdecode(name)).write_bytes(torn)
        complete(directory, name)
        assert (tmp_path / "file").read_bytes() == OLD

    tear()


def test_another_file_of_that_name_is_left_alone(tmp_path: Path, directory: int) -> None:
    change(directory, tmp_path / "file")
    (tmp_path / "file").rename(tmp_path / "moved")
    complete(directory, leftover(tmp_path))
    (tmp_path / "file").write_bytes(b"new")
    complete(directory, leftover(tmp_path))
    assert (tmp_path / "file").read_bytes() == b"new"
    complete(directory, b".dtesx-tmp.no-journal")


def test_where_there_are_no_holes_zeros_are_written(
    tmp_path: Path, directory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        ctypes.set_errno(95)
        return -1

    monkeypatch.setattr(holes._libc, "fallocate", refuse)
    change(directory, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == changed()


def test_the_journal_is_on_disk_before_the_file_is_touched(
    tmp_path: Path, directory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []
    sync, write = os.fdatasync, os.pwrite

    def synced(fd: int) -> None:
        events.append(("sync", os.readlink(f"/proc/self/fd/{fd}")))
        sync(fd)

    def wrote(fd: int, data: Any, offset: int) -> int:
        events.append(("write", os.readlink(f"/proc/self/fd/{fd}")))
        return write(fd, data, offset)

    monkeypatch.setattr(os, "fdatasync", synced)
    monkeypatch.setattr(os, "pwrite", wrote)
    change(directory, tmp_path / "file")
    file = str(tmp_path / "file")
    first = events.index(("write", file))
    assert events[first - 1][0] == "sync"
    assert PREFIX.decode() in events[first - 1][1]
    assert events[-1] == ("sync", file)


@contextmanager
def hidden(directory: int, path: Path) -> Iterator[Journal]:
    """A journal that changes a file, and could not to its end."""
    path.write_bytes(OLD)
    fd = os.open(path, os.O_RDWR)
    changes = Journal(directory, os.fsencode(path.name), fd, b".dtesx-tmp.1.1", hides=True)
    changes.data(10, memoryview(b"first"))
    changes.data(100, memoryview(b"second"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fdatasync", _failing(os.fdatasync, fd))
            with pytest.raises(OSError, match="broken"):
                changes.carry_out(len(OLD))
        yield changes
    finally:
        os.close(fd)


def _failing(before: Callable[[int], None], broken: int) -> Callable[[int], None]:
    def sync(fd: int) -> None:
        if fd == broken:
            raise OSError(errno.EDQUOT, "broken")
        before(fd)

    return sync


def test_what_could_not_be_changed_to_its_end_can_be_tried_again(tmp_path: Path, directory: int) -> None:
    with hidden(directory, tmp_path / "file") as changes:
        assert not (tmp_path / "file").exists()
        changes.carry_out(len(OLD))
        changes.show()
        changes.drop()
    assert (tmp_path / "file").read_bytes()[100:] == b"second" + OLD[106:]
    assert os.listdir(tmp_path) == ["file"]


def test_what_was_given_up_half_changed_is_completed_by_who_finds_it(tmp_path: Path, directory: int) -> None:
    with hidden(directory, tmp_path / "file") as changes:
        changes.drop()
    assert not (tmp_path / "file").exists()
    tidy_directory(directory, b".dtesx-tmp.other", _told)
    assert (tmp_path / "file").read_bytes()[100:106] == b"second"
    assert os.listdir(tmp_path) == ["file"]


def test_what_has_the_name_of_a_hidden_file_since_keeps_it(tmp_path: Path, directory: int) -> None:
    with hidden(directory, tmp_path / "file") as changes:
        changes.drop()
    (tmp_path / "file").write_bytes(b"another")
    for _ in range(2):
        tidy_directory(directory, b".dtesx-tmp.other", _told)
    assert (tmp_path / "file").read_bytes() == b"another"
    assert os.listdir(tmp_path) == ["file"]


def _told(name: bytes, reason: str) -> None:
    raise AssertionError((name, reason))
