"""Private views of a mount: the file system as it is, without what is mounted over parts of it."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from dtesx.base.errors import DtesxError, Refused, RootMissing, UsageError

# Numbers from the kernel's unified system call table (the same on every 64-bit architecture).
_SYS_OPEN_TREE = 428
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOUNT_ATTR_NOATIME = 0x10
_ATIME_MASK = 0x70


class _MountAttr(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def _open_tree(path: str) -> int:
    fd: int = _libc.syscall(
        ctypes.c_long(_SYS_OPEN_TREE),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.c_uint(_OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC),
    )
    if fd < 0:
        raise _explain(path, ctypes.get_errno())
    return fd


def _without_access_times(tree: int) -> None:
    """Reading through the view must not touch the access times of what is read.

    Only wanted, not needed: kernels older than 5.12 lack mount_setattr(2), and then the mount's own
    atime policy stays in force.
    """
    attributes = _MountAttr(attr_set=_MOUNT_ATTR_NOATIME, attr_clr=_ATIME_MASK)
    _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(tree),
        ctypes.c_char_p(b""),
        ctypes.c_uint(_AT_EMPTY_PATH),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )


def _explain(path: str, number: int) -> DtesxError:
    if number in (errno.ENOENT, errno.ENOTDIR):
        return RootMissing(
            f"{path} is not there any more", hint="mount it again, or take it out of the job's workload"
        )
    if number == errno.EPERM:
        return Refused(f"not allowed to look below the mounts of {path}", hint="run dtesx as root")
    if number == errno.ENOSYS:
        return UsageError(
            f"this kernel ({os.uname().release}) cannot clone mounts", hint="run a kernel from 5.2 on"
        )
    return DtesxError(f"cannot open {path}: {os.strerror(number)}", hint="see the kernel log (dmesg)")


@contextmanager
def open_view(mount_point: str) -> Iterator[int]:
    """Yield a directory descriptor of a private clone of the mount at ``mount_point``.

    The clone holds no submounts: what they hide is visible, what they show is not. It is attached
    nowhere, so nothing is left over when the process dies; opening files relative to the descriptor
    works until the context ends. Reads through it leave access times alone. Needs root.

    Raises RootMissing, Refused (no privilege) or UsageError (kernel without open_tree(2)).
    """
    tree = _open_tree(mount_point)
    try:
        _without_access_times(tree)
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)
        try:
            yield directory
        finally:
            os.close(directory)
    finally:
        os.close(tree)
