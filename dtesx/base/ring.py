"""A file of fixed size that holds the latest of many equal records, whatever happens while one is written."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

_MAGIC = b"dtesxR1\n"
_HEAD = struct.Struct("<8sI")  # magic, bytes of a record
_BEGIN = struct.Struct("<Q")  # the record's number, from 1 on
_END = struct.Struct("<I")  # CRC-32 of number and record


class Ring:
    """Adds records of ``record`` bytes each to the file at ``path``, of ``size`` bytes or somewhat less.

    When it is full, the oldest give way. What is no such file is replaced. A record that was cut off
    by the end of the machine or of the process is not there. Every method raises OSError.
    """

    def __init__(self, path: Path, size: int, record: int) -> None:
        self._slot = _slot(record)
        self._slots = size // self._slot - 1
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            whole = self._slot * (self._slots + 1)
            if os.fstat(self._fd).st_size != whole or os.pread(self._fd, _HEAD.size, 0) != _head(record):
                os.ftruncate(self._fd, 0)
                os.posix_fallocate(self._fd, 0, whole)  # so that there is room when all else is full
                os.pwrite(self._fd, _head(record), 0)
            held = _numbered(os.pread(self._fd, whole, 0), self._slot)
            self._next = max(held, default=0) + 1
        except BaseException:
            os.close(self._fd)
            raise

    def add(self, record: bytes) -> None:
        """Add a record, in the place of the oldest if need be."""
        data = _BEGIN.pack(self._next) + record
        slot = 1 + self._next % self._slots
        os.pwrite(self._fd, data + _END.pack(zlib.crc32(data)), slot * self._slot)
        self._next += 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def read(path: Path, record: int) -> list[bytes]:
    """The records of a ring, the oldest first; none when there is no such file. Raises OSError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    if data[: _HEAD.size] != _head(record):
        return []
    held = _numbered(data, _slot(record))
    return [held[number] for number in sorted(held)]


def _numbered(data: bytes, slot: int) -> dict[int, bytes]:
    """The whole records by their numbers."""
    found = {}
    for at in range(slot, len(data) - slot + 1, slot):
        body, check = data[at : at + slot - _END.size], data[at + slot - _END.size : at + slot]
        (number,) = _BEGIN.unpack_from(body)
        if number and zlib.crc32(body) == _END.unpack(check)[0]:
            found[number] = body[_BEGIN.size :]
    return found


def _slot(record: int) -> int:
    return _BEGIN.size + record + _END.size


def _head(record: int) -> bytes:
    return _HEAD.pack(_MAGIC, record)
