"""Events as fanotify(7) hands them out. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

# linux/fanotify.h
MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
OVERFLOW = 0x4000
RENAME = 0x10000000
ON_DIRECTORY = 0x40000000

RENAMES = MOVED_FROM | MOVED_TO | RENAME
NAMES = ATTRIB | CREATE | DELETE | RENAMES
CONTENT = MODIFY | CLOSE_WRITE

_VERSION = 3
_EVENT = struct.Struct("=IBxHQii")
FIXED = _EVENT.size
"""Length of the part that all events have, in bytes."""

_INFO = struct.Struct("=BxH")
_HANDLE = struct.Struct("=8xIi")  # after the file system's number: struct file_handle
_FILE, _NAME, _OLD_NAME, _NEW_NAME = 1, 2, 10, 12
_PLACES = frozenset((_FILE, _NAME, _OLD_NAME, _NEW_NAME))

FSID = 8
"""Length of a file system's number (statfs(2), f_fsid), with which every place begins."""

Entry = tuple[bytes, bytes]
"""The place of a directory, which is its file system's number and its handle; and a name in it."""

Event = tuple[int, int, list[Entry], bytes]
"""Mask, process, what was named, and the place of the file itself where the kernel tells it."""


class MalformedEvents(ValueError):
    """What was read are no events of the version that we know."""


def parse(buffer: bytes) -> Iterator[Event]:
    """The events in what one read(2) gave. Raises MalformedEvents."""
    unpack, start, total = _EVENT.unpack_from, 0, len(buffer)
    try:
        while start < total:
            length, version, head, mask, _, process = unpack(buffer, start)
            end = start + length
            if version != _VERSION or not _EVENT.size <= head <= length or end > total:
                raise MalformedEvents(f"version {version}, {length} bytes, {head} of them fixed")
            entries, file = _records(buffer, start + head, end)
            yield mask, process, entries, file
            start = end
    except struct.error as error:
        raise MalformedEvents(f"a torn event: {error}") from error


def _records(buffer: bytes, at: int, end: int) -> tuple[list[Entry], bytes]:
    entries: list[Entry] = []
    file = b""
    while at < end:
        kind, size = _INFO.unpack_from(buffer, at)
        after = at + size
        if size < _INFO.size or after > end:
            raise MalformedEvents(f"a record of {size} bytes")
        if kind in _PLACES:
            place = at + _INFO.size
            name = place + FSID + 8 + _HANDLE.unpack_from(buffer, place)[0]
            name_end = name if kind == _FILE else buffer.find(b"\0", name, after)
            if not name <= name_end <= after:
                raise MalformedEvents("a handle or a name that ends beyond its record")
            if kind == _FILE:
                file = buffer[place:name]
            else:
                entries.append((buffer[place:name], buffer[name:name_end]))
        at = after
    return entries, file
