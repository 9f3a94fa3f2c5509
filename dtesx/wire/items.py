"""One name of a directory as it travels: compact, compared in one step, made a million times a mirror."""

from __future__ import annotations

import re
import stat
from typing import Annotated

import msgspec

_Mode = Annotated[int, msgspec.Meta(ge=0, le=0o177777)]
_Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
_Count = Annotated[int, msgspec.Meta(ge=0)]

Xattrs = tuple[tuple[bytes, bytes], ...]

TEMPORARY_PREFIX = b".dtesx-tmp."
"""Names that a target gives to files it is still writing; no source file of that name travels."""

_IN_TRANSIT = re.compile(rb"\.dtesx-tmp\.([0-9a-f]{8}|journal|moves)\.")

OWN_XATTRS = b"trusted.dtesx."
"""Extended attributes that dtesx itself keeps on a target; they are not part of what is mirrored."""

SETTABLE_FLAGS = 0x83C0FF
"""The chattr(1) flags that are kept (linux/fs.h). Other bits say how a file system stores the file.

Secure delete, undelete, compress, sync, immutable, append only, nodump, noatime, journal data, notail,
dirsync, topdir, nocow.
"""
HIDDEN_XATTRS = (OWN_XATTRS, b"trusted.SGI_ACL_")
"""How names begin that do not travel: those, and those that XFS has for ACLs besides (fs/xfs/xfs_xattr.c)."""

UNSURE = -(1 << 63)
"""The time that a target reports for a file whose content it does not vouch for: equal to no other."""


def reserved(path: bytes) -> bool:
    """Whether a path leads over a name that cannot travel."""
    return path.startswith(TEMPORARY_PREFIX) or b"/" + TEMPORARY_PREFIX in path


def in_transit(name: bytes) -> bool:
    """Whether a target gave the name: its tree is a replica, and the name will go."""
    return _IN_TRANSIT.match(name) is not None


class Item(msgspec.Struct, frozen=True, array_like=True, gc=False, omit_defaults=True):
    """A name with everything that is compared about it.

    ``mode`` is st_mode whole, so it holds the kind too. ``size`` counts for regular files only,
    ``link`` is the inode number where several names share it (0 otherwise; meaningful on one side
    only), ``target`` a symlink's text, ``xattrs`` are sorted, ``sum`` is that of a small file's content
    where contents are compared.
    """

    name: bytes
    mode: _Mode
    uid: _Id
    gid: _Id
    mtime_ns: int
    size: _Count = 0
    link: _Count = 0
    rdev: _Count = 0
    target: bytes = b""
    xattrs: Xattrs = ()
    sum: bytes = b""

    @property
    def kind(self) -> int:
        """The S_IFMT part of the mode."""
        return stat.S_IFMT(self.mode)

    @property
    def permissions(self) -> int:
        """The mode without the kind: rwx, setuid, setgid, sticky."""
        return stat.S_IMODE(self.mode)
