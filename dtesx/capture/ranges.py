"""Byte ranges as the eBPF programs keep them. Pure.

A map's key names a file and a block of it: the 1 MiB chunk where it begins, and how many chunks it has
(a power of two). The value of a single chunk says which of its 256 pages. Some marks say that what is
written there later will be told, too; of the others that holds only when the pages are clean.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from dtesx.model.spans import Span, Spans

PAGE = 4096
CHUNK_PAGES = 256
CHUNK = CHUNK_PAGES * PAGE
"""Bytes in a chunk."""

END = (1 << 63) - 1
"""Where a range ends that goes on to the end of the file, however long that is."""

KEY = struct.Struct("=QQQII")
VALUE = struct.Struct(f"={CHUNK_PAGES // 8}s")
_TAIL = 0xFF
_TOLD = 0x40  # in an order

REQUEST = struct.Struct("=QQQIIQQQ")
"""Direct I/O: a key, the first page, the one behind the last, and whether it writes."""

Marks = dict[tuple[int, int, int, int], list[Span]]
"""Pages by inode, subvolume, device as the kernel counts it, and generation; in any order."""


def unpack(keys: bytes, values: bytes, marks: Marks, silent: Marks) -> None:
    """Add the elements of a map to the marks; to ``silent``, too, where stores may be silent."""
    for key, (mask,) in zip(KEY.iter_unpack(keys), VALUE.iter_unpack(values), strict=True):
        inode, root, place, device, generation = key
        file, kind, start = (inode, root, device, generation), place & 0xFF, place >> 8
        order = kind & ~_TOLD
        spans: Iterable[Span]
        if kind == _TAIL:
            spans = ((start * CHUNK, END),)
        elif order:
            spans = ((start * CHUNK, (start + (1 << order)) * CHUNK),)
        else:
            spans = _runs(int.from_bytes(mask, "little"), start * CHUNK)
        marks.setdefault(file, []).extend(spans)
        if not kind & _TOLD:
            silent.setdefault(file, []).extend(spans)


def unpack_requests(requests: bytes, marks: Marks) -> None:
    """Add what requests of direct I/O write to."""
    for inode, root, _, device, generation, first, end, writes in REQUEST.iter_unpack(requests):
        if writes:
            marks.setdefault((inode, root, device, generation), []).append((first * PAGE, end * PAGE))


def _runs(mask: int, start: int) -> Spans:
    """The bytes that a mask of the pages from ``start`` on stands for."""
    spans: list[Span] = []
    while mask:
        clear = (mask & -mask).bit_length() - 1
        mask >>= clear
        count = (~mask & (mask + 1)).bit_length() - 1
        mask >>= count
        start += clear * PAGE
        spans.append((start, start + count * PAGE))
        start += count * PAGE
    return tuple(spans)
