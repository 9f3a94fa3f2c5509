"""LZ4 as initramfs files have it ("legacy" frames, by `lz4 -l`), through the system's library.

Format: the LZ4 frame format description, "Legacy frame"; the kernel's lib/decompress_unlz4.c.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import cast

from dtesx.base.errors import DtesxError, UsageError

MAGIC = b"\x02\x21\x4c\x18"
_BLOCK_BYTES = 8 << 20  # a block holds at most so much, unpacked
_SIZE_BYTES = 4
_LIBRARY = "liblz4.so.1"


def pack(data: bytes) -> bytes:
    """One frame with the data. Raises UsageError where this machine has no LZ4."""
    compress = _function("LZ4_compress_default")
    frame = [MAGIC]
    for at in range(0, len(data), _BLOCK_BYTES):
        block = data[at : at + _BLOCK_BYTES]
        room = len(block) + len(block) // 255 + 16  # LZ4_compressBound
        buffer = ctypes.create_string_buffer(room)
        count = compress(block, buffer, len(block), room)
        frame += [count.to_bytes(_SIZE_BYTES, "little"), buffer.raw[:count]]
    return b"".join(frame)


def unpack(data: bytes) -> tuple[bytes, bytes]:
    """The content of one frame and what follows it.

    Raises DtesxError for a damaged frame, UsageError where this machine has no LZ4.
    """
    decompress = _function("LZ4_decompress_safe")
    buffer = ctypes.create_string_buffer(_BLOCK_BYTES)
    blocks: list[bytes] = []
    offset = len(MAGIC)
    # As in the kernel, a size of zero or another frame ends this one.
    while (size := int.from_bytes(data[offset : offset + _SIZE_BYTES], "little")) and not data.startswith(
        MAGIC, offset
    ):
        block = data[offset + _SIZE_BYTES : offset + _SIZE_BYTES + size]
        count = decompress(block, buffer, len(block), _BLOCK_BYTES) if len(block) == size else -1
        if count < 0:
            raise DtesxError(
                f"the initramfs is damaged: broken LZ4 block at byte {offset}",
                hint="rebuild it on the source (update-initramfs -u, dracut -f) and mirror again",
            )
        blocks.append(buffer.raw[:count])
        offset += _SIZE_BYTES + size
    return b"".join(blocks), data[offset:]


def _function(name: str) -> Callable[..., int]:
    try:
        function = getattr(ctypes.CDLL(_LIBRARY), name)
    except OSError as error:
        raise UsageError(
            "the initramfs is compressed with lz4, which this machine cannot read",
            hint="install the package liblz4-1",
        ) from error
    function.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)
    function.restype = ctypes.c_int
    return cast(Callable[..., int], function)
