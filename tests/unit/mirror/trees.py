"""Random trees, random changes to them, and a clock that is ahead of them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

NAMES = ("a", "b", "c")
AHEAD = 60 * 10**9


@contextmanager
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What happened up to now counts as long ago."""
    with monkeypatch.context() as patch:
        before = time.time_ns
        patch.setattr("dtesx.mirror.state.time.time_ns", lambda: before() + AHEAD)
        yield


def next_tick(where: Path) -> None:
    """Return when a change of a file gets a later time than any change before."""
    probe = where / "probe"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.chmod(0o600)


def _file(path: Path, value: int) -> None:
    if path.is_dir() and not path.is_symlink():
        return
    before = path.lstat() if path.is_file() and not path.is_symlink() else None
    path.unlink(missing_ok=True) if before is None else None
    path.write_bytes(b"x" * (value % 3))
    os.utime(path, ns=(0, (value % 2) * 10**9))


def _directory(path: Path, value: int) -> None:
    if not os.path.lexists(path):
        path.mkdir()
    os.utime(path, ns=(0, (value % 2) * 10**9), follow_symlinks=False)


def _symlink(path: Path, value: int) -> None:
    _remove(path, value)
    path.symlink_to("ab"[value % 2])
    os.utime(path, ns=(0, 5), follow_symlinks=False)


def _mode(path: Path, value: int) -> None:
    if os.path.lexists(path) and not path.is_symlink():
        path.chmod((0o700, 0o755)[value % 2])


def _xattr(path: Path, value: int) -> None:
    if path.is_file() and not path.is_symlink():
        os.setxattr(path, "user.x", b"%d" % (value % 2))


def _rename(path: Path, value: int) -> None:
    other = path.with_name(NAMES[value % 3])
    if os.path.lexists(path) and other != path:
        _remove(other, 0)
        path.rename(other)


def _link(path: Path, value: int) -> None:
    other = path.with_name(NAMES[value % 3])
    if path.is_file() and not path.is_symlink() and other != path:
        _remove(other, 0)
        os.link(path, other)


def _remove(path: Path, _value: int) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


Change = tuple[Callable[[Path, int], None], tuple[str, ...], int]

_ACTIONS = (_file, _file, _directory, _directory, _symlink, _mode, _xattr, _rename, _link, _remove)

changes: Any = st.lists(
    st.tuples(
        st.sampled_from(_ACTIONS),
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple),
        st.integers(0, 5),
    ),
    max_size=12,
)


def carry_out(root: Path, todo: list[Change]) -> None:
    """Carry out those changes that are possible."""
    for action, path, value in todo:
        where = root.joinpath(*path)
        above = where.parent
        if above.is_dir() and not any(root.joinpath(*path[:n]).is_symlink() for n in range(1, len(path))):
            action(where, value)
