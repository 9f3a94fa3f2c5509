"""File handles: names of files that outlive renames (open_by_handle_at(2)).

A handle is kept as the kernel lays it out, ``struct file_handle``: length, type, bytes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import time

_HEAD = struct.Struct("=Ii")
_MAX_HANDLE_SZ = 128  # linux/fcntl.h
_AT_EMPTY_PATH = 0x1000
_TRIES, _PAUSE = 200, 0.001  # seconds

# Handle types, the same in every kernel: linux/exportfs.h, fs/xfs/xfs_export.h, fs/btrfs/export.h.
_INO32_GEN = 0x1
_INO64_GEN = 0x81
_BTRFS = 0x4D
_INODE32 = struct.Struct("=II")
_INODE64 = struct.Struct("=QI")
_BTRFS_OBJECT = struct.Struct("=QQI")

_libc = ctypes.CDLL(None, use_errno=True)


def open_handle(mount: int, handle: bytes) -> int:
    """Open what ``handle`` stands for, for its place only (O_PATH), in the mount that ``mount`` is in.

    Raises OSError: ESTALE when it was removed.
    """
    for _ in range(_TRIES):
        fd: int = _libc.open_by_handle_at(
            ctypes.c_int(mount), ctypes.c_char_p(handle), ctypes.c_int(os.O_PATH | os.O_CLOEXEC)
        )
        if fd >= 0:
            return fd
        # Also said where the inode's number is just being given to another file (iget_locked, I_CREATING).
        if ctypes.get_errno() != errno.ENOMEM:
            break
        time.sleep(_PAUSE)
    raise _failure()


def handle_of(directory: int, name: bytes = b"") -> bytes:
    """The handle of a name in a directory, no link followed, or of the directory itself.

    Raises OSError: EOPNOTSUPP on file systems without handles.
    """
    return handle_and_mount(directory, name)[0]


def handle_and_mount(directory: int, name: bytes = b"") -> tuple[bytes, int]:
    """The same, with the number of the mount by which it was found. Raises OSError."""
    buffer = ctypes.create_string_buffer(_HEAD.pack(_MAX_HANDLE_SZ, 0), _HEAD.size + _MAX_HANDLE_SZ)
    mount = ctypes.c_int()
    done = _libc.name_to_handle_at(
        ctypes.c_int(directory),
        ctypes.c_char_p(name),
        buffer,
        ctypes.byref(mount),
        ctypes.c_int(0 if name else _AT_EMPTY_PATH),
    )
    if done < 0:
        raise _failure()
    length, _ = _HEAD.unpack_from(buffer)
    return buffer.raw[: _HEAD.size + length], mount.value


def inode_of(handle: bytes) -> tuple[int, int, int] | None:
    """Subvolume (0 but for btrfs), inode number and generation in a handle; None for unknown types."""
    length, kind = _HEAD.unpack_from(handle)
    if kind == _INO32_GEN and length == _INODE32.size:
        inode, generation = _INODE32.unpack_from(handle, _HEAD.size)
        return 0, inode, generation
    if kind == _INO64_GEN and length == _INODE64.size:
        inode, generation = _INODE64.unpack_from(handle, _HEAD.size)
        return 0, inode, generation
    if kind == _BTRFS and length == _BTRFS_OBJECT.size:
        inode, root, generation = _BTRFS_OBJECT.unpack_from(handle, _HEAD.size)
        return root, inode, generation
    return None


def handle_for(kind: str, root: int, inode: int, generation: int) -> bytes:
    """The handle of a file on a file system of type ext4, xfs or btrfs. Raises ValueError for others."""
    if kind == "btrfs":
        return _HEAD.pack(_BTRFS_OBJECT.size, _BTRFS) + _BTRFS_OBJECT.pack(inode, root, generation)
    if kind == "xfs":
        return _HEAD.pack(_INODE64.size, _INO64_GEN) + _INODE64.pack(inode, generation)
    if kind == "ext4":
        return _HEAD.pack(_INODE32.size, _INO32_GEN) + _INODE32.pack(inode, generation)
    raise ValueError(kind)


def _failure() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
