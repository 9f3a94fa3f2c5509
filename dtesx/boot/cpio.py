"""cpio archives in the "newc" format, as the kernel unpacks them into the initramfs. Pure.

Format: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dtesx.base.errors import DtesxError

MAGICS = (b"070701", b"070702")
ALIGNMENT = 4
_HEADER = 110
_TRAILER = "TRAILER!!!"
_LEADING = re.compile(r"^(?:\.?/)+|^\.$")


@dataclass(frozen=True)
class Member:
    """One entry; ``mode`` holds the type and permission bits as in stat(2)."""

    name: str
    mode: int
    data: bytes = b""


def directory(name: str) -> Member:
    """A directory, 0755."""
    return Member(name, stat.S_IFDIR | 0o755)


def regular(name: str, data: bytes) -> Member:
    """A regular file, 0644."""
    return Member(name, stat.S_IFREG | 0o644, data)


def write(members: Iterable[Member]) -> bytes:
    """The archive, owned by root, with a multiple of 4 bytes."""
    parts = [_record(number, member) for number, member in enumerate(members, start=1)]
    parts.append(_record(0, Member(_TRAILER, 0)))
    return b"".join(parts)


def _record(number: int, member: Member) -> bytes:
    name = member.name.encode(errors="surrogateescape") + b"\0"
    links = 2 if stat.S_ISDIR(member.mode) else 1
    fields = (number, member.mode, 0, 0, links, 0, len(member.data), 0, 0, 0, 0, len(name), 0)
    head = MAGICS[0] + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(member.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def read(data: bytes | memoryview, start: int = 0) -> Iterator[tuple[Member | None, int]]:
    """Yield each member with the offset behind it; (None, offset) for the trailer, then stop.

    Alignment counts from ``start``. Raises DtesxError for what is not a newc archive.
    """
    view = memoryview(data)
    offset = start
    while True:
        if bytes(view[offset : offset + 6]) not in MAGICS or offset + _HEADER > len(view):
            raise broken(f"no cpio header at byte {offset}")
        fields = _fields(view, offset)
        mode, size, name_size = fields[1], fields[6], fields[11]
        name_at = offset + _HEADER
        data_at = start + _up(name_at + name_size - start)
        end = data_at + size
        if end > len(view):
            raise broken(f"the cpio archive ends inside the entry at byte {offset}")
        name = bytes(view[name_at : name_at + name_size]).rstrip(b"\0").decode(errors="surrogateescape")
        offset = min(len(view), start + _up(end - start))
        if name == _TRAILER:
            yield None, offset
            return
        yield Member(_LEADING.sub("", name), mode, bytes(view[data_at:end])), offset


def _fields(view: memoryview, offset: int) -> tuple[int, ...]:
    text = bytes(view[offset + 6 : offset + _HEADER])
    try:
        return tuple(int(text[at : at + 8], 16) for at in range(0, len(text), 8))
    except ValueError as error:
        raise broken(f"garbled cpio header at byte {offset}") from error


def _up(count: int) -> int:
    return count + -count % ALIGNMENT


def broken(reason: str) -> DtesxError:
    """The error for an initramfs that cannot be read."""
    return DtesxError(
        f"the initramfs is damaged: {reason}",
        hint="rebuild it on the source (update-initramfs -u, dracut -f) and mirror again",
    )
