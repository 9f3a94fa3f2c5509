"""Byte ranges as the eBPF programs keep them. Pure.

A map's key names a file and a block of it: the 64 KiB chunk where it begins, and how many chunks it has
(a power of two). The value of a single chunk says which of its sixteen pages.
"""

from __future__ import annotations

import struct
from functools import cache

from dtesx.model.spans import Span, Spans, merge

PAGE = 4096
CHUNK_PAGES = 16
CHUNK = CHUNK_PAGES * PAGE
"""Bytes in a chunk."""

END = (1 << 63) - 1
"""Where a range ends that goes on to the end of the file, however long that is."""

KEY = struct.Struct("=QQQII")
VALUE = struct.Struct("=Q")
_TAIL = 0xFF

Marks = dict[tuple[int, int, int, int], list[Span]]
"""Pages by inode, subvolume, device as the kernel counts it, and generation; in any order."""


def unpack(keys: bytes, values: bytes, marks: Marks) -> None:
    """Add the elements of a map to the marks."""
    for key, (mask,) in zip(KEY.iter_unpack(keys), VALUE.iter_unpack(values), strict=True):
        inode, root, place, device, generation = key
        spans = marks.setdefault((inode, root, device, generation), [])
        order, start = place & 0xFF, place >> 8
        if order == _TAIL:
            spans.append((start * CHUNK, END))
        elif order:
            spans.append((start * CHUNK, (start + (1 << order)) * CHUNK))
        else:
            start *= CHUNK
            spans += [(start + first, start + end) for first, end in _runs(mask)]


@cache
def _runs(mask: int) -> Spans:
    """The bytes in a chunk that a mask of its pages stands for."""
    pages = [(page * PAGE, (page + 1) * PAGE) for page in range(CHUNK_PAGES) if mask >> page & 1]
    return merge(pages)
