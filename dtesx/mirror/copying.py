"""Copying parts of files to where they are in others: what is between them is left out, holes stay holes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from dtesx.base.holes import punch
from dtesx.mirror import content
from dtesx.mirror.delta import pieces_of
from dtesx.model.spans import Spans

_STEP = 1 << 20
_SECTOR = 512  # of st_blocks, stat(2)
_FILE = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


def exactly(spans: Spans, size: int) -> Iterator[tuple[int, int]]:
    """What is read of a file of ``size`` bytes for its ``spans``, as (start, end)."""
    return pieces_of(spans, size, 0)


def copy_parts(
    fd: int,
    name: bytes,
    directory: int,
    status: os.stat_result,
    parts: Iterable[tuple[int, int]],
    pause: Callable[[], None],
) -> None:
    """Copy parts of a file to where they are in the file ``name``; holes stay holes.

    ``status`` is that of the original. Raises OSError, and what ``pause`` raises.
    """
    copy = os.open(name, _FILE, 0o600, dir_fd=directory)
    try:
        there = os.fstat(copy).st_blocks > 0
        os.ftruncate(copy, status.st_size)
        if status.st_blocks * _SECTOR >= status.st_size:  # it has no holes
            for start, end in parts:
                _copy(fd, copy, start, end, pause)
            return
        for start, end in parts:
            if there:
                punch(copy, start, end - start)
            for offset, until in content.extents(fd, end, start):
                _copy(fd, copy, offset, until, pause)
    finally:
        os.close(copy)


def _copy(fd: int, copy: int, offset: int, end: int, pause: Callable[[], None]) -> None:
    while offset < end:
        pause()
        data = os.pread(fd, min(_STEP, end - offset), offset)
        if not data:
            return
        offset += os.pwrite(copy, data, offset)
