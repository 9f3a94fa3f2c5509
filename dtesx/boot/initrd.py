"""An initramfs file: any number of cpio archives, one after the other, each compressed or not.

Archives unpack over each other, so appending one changes what is in effect without touching the
rest (kernel: init/initramfs.c).
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dtesx.base.errors import UsageError
from dtesx.boot import cpio, lz4
from dtesx.boot.cpio import Member

_Unpacked = tuple[bytes, bytes]  # content, the rest of the file


class _Stream(Protocol):
    """What the decompressors of zlib, lzma, bz2 and zstandard have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True)
class Initrd:
    """What is in effect after unpacking: path -> last member of that path.

    ``ends_in_lz4`` tells how the last part of the file is packed, which decides how it can go on.
    """

    members: dict[str, Member]
    ends_in_lz4: bool = False

    def files(self, prefix: str) -> tuple[Member, ...]:
        """The members below a directory."""
        return tuple(m for name, m in sorted(self.members.items()) if name.startswith(f"{prefix}/"))


def read(data: bytes) -> Initrd:
    """Unpack an initramfs file.

    Raises UsageError for a compression that this machine cannot read, DtesxError when damaged.
    """
    members: dict[str, Member] = {}
    offset, ends_in_lz4 = 0, False
    while (offset := _skip_zeros(data, offset)) < len(data):
        ends_in_lz4 = data.startswith(lz4.MAGIC, offset)
        if data[offset : offset + 6] in cpio.MAGICS:
            offset = _collect(data, offset, members)
            continue
        content, rest = _decompressor(data[offset : offset + 6])(data[offset:])
        inner = 0
        while (inner := _skip_zeros(content, inner)) < len(content):
            inner = _collect(content, inner, members)
        offset = len(data) - len(rest)
    return Initrd(members, ends_in_lz4)


def append(data: bytes, content: Initrd, members: Sequence[Member]) -> bytes:
    """The file, whose content is given, with one more archive: plain, aligned as the kernel wants it.

    Directories of the new members are made where there are none. One that exists must not be named: it
    could be a link, and the kernel would replace it.
    """
    archive = cpio.write([*_parents(members, content), *members])
    if content.ends_in_lz4:
        # Kernels before 5.9 take whatever follows LZ4 for more of it, and fail; another frame they read.
        return data + lz4.pack(archive)
    return data + bytes(-len(data) % cpio.ALIGNMENT) + archive


def unpacked(data: bytes) -> bytes:
    """A file that is compressed by itself, as kernel modules are; others as they are."""
    for start, _, unpack in _FORMATS:
        if data.startswith(start) and unpack is not None:
            return unpack(data)[0]
    return data


def _parents(files: Iterable[Member], content: Initrd) -> list[Member]:
    wanted: dict[str, None] = {}
    for member in files:
        steps = member.name.split("/")[:-1]
        wanted |= dict.fromkeys("/".join(steps[: count + 1]) for count in range(len(steps)))
    return [cpio.directory(name) for name in wanted if name not in content.members]


def _collect(data: bytes, start: int, members: dict[str, Member]) -> int:
    offset = start
    for member, after in cpio.read(data, start):
        offset = after
        if member is not None:
            members[member.name] = member
    return offset


def _skip_zeros(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset] == 0:
        offset += 1
    return offset


def _decompressor(magic: bytes) -> Callable[[bytes], _Unpacked]:
    for start, name, unpack in _FORMATS:
        if magic.startswith(start):
            if unpack is None:
                raise UsageError(
                    f"the initramfs is compressed with {name}, which dtesx cannot read",
                    hint="rebuild it on the source with zstd, gzip, xz or lz4",
                )
            return unpack
    raise cpio.broken("unknown compression")


def _gzip(data: bytes) -> _Unpacked:
    return _unpack(zlib.decompressobj(wbits=31), data)


def _xz(data: bytes) -> _Unpacked:
    return _unpack(lzma.LZMADecompressor(), data)


def _bzip2(data: bytes) -> _Unpacked:
    return _unpack(bz2.BZ2Decompressor(), data)


def _zstd(data: bytes) -> _Unpacked:
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError as error:
        raise UsageError(
            "the initramfs is compressed with zstd, which this machine cannot read",
            hint="install the Python package zstandard (the extra dtesx[appliance])",
        ) from error
    return _unpack(zstandard.ZstdDecompressor().decompressobj(), data, zstandard.ZstdError)


def _unpack(stream: _Stream, data: bytes, error_type: type[Exception] = ValueError) -> _Unpacked:
    try:
        content = stream.decompress(data)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, error_type) as error:
        raise cpio.broken(str(error)) from error
    if not stream.eof:
        raise cpio.broken("it ends in the middle of its compressed part")
    return content, stream.unused_data


_FORMATS: tuple[tuple[bytes, str, Callable[[bytes], _Unpacked] | None], ...] = (
    (b"\x28\xb5\x2f\xfd", "zstd", _zstd),
    (b"\x1f\x8b", "gzip", _gzip),
    (b"\xfd7zXZ\0", "xz", _xz),
    (b"\x5d\x00\x00", "lzma", _xz),
    (b"BZh", "bzip2", _bzip2),
    (lz4.MAGIC, "lz4", lz4.unpack),
    (b"\x89LZO", "lzo", None),
)
