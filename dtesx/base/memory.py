"""Freed memory stays with the process, to be the next buffer: what the kernel gives is slow at first."""

from __future__ import annotations

import ctypes
from functools import cache

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 16 << 20
_KEPT = 64 << 20


@cache
def keep_freed_memory() -> None:
    """Have malloc keep up to 64 MiB that were freed, and take blocks of up to 16 MiB from there (mallopt(3)).

    Without it the C library gives every buffer of a mebibyte back at once, and the kernel clears and
    maps the pages of the next one anew. Other C libraries than glibc have their own ways.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
