"""Files as the mirror sees them: one Entry per name, complete with metadata."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The type of a directory entry, one letter on the wire."""

    FILE = "f"
    DIRECTORY = "d"
    SYMLINK = "l"
    FIFO = "p"
    CHARACTER = "c"
    BLOCK = "b"


@dataclass(frozen=True, slots=True)
class Metadata:
    """Everything about an entry but its name and content.

    ``mode`` holds the permission bits with setuid, setgid and sticky; ``mtime_ns`` is nanoseconds
    since the epoch; ``xattrs`` are sorted (name, value) pairs and include POSIX ACLs, capabilities
    and SELinux labels; ``flags`` are FS_IOC_GETFLAGS bits that chattr(1) can set.
    """

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    atime_ns: int = 0
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A path (relative to the replication root, bytes, no leading slash; b"" is the root itself).

    ``size`` counts for files only, ``target`` for symlinks, ``rdev`` for devices. ``link`` is a
    number shared by all names of one hard-linked file, 0 for files with one name.
    """

    path: bytes
    kind: Kind
    meta: Metadata
    size: int = 0
    target: bytes = b""
    rdev: int = 0
    link: int = 0


@dataclass(frozen=True, slots=True)
class PathProblem:
    """A path that could not be mirrored, and why. Collected and shown; it never ends a job."""

    path: str
    reason: str


@dataclass(frozen=True)
class MirrorStats:
    """Counts of one mirror. Files are all names but directories.

    ``bytes_skipped`` are bytes that needed no sending (unchanged files, holes), so sent and skipped
    add up to the total; ``bytes_wire`` includes framing, before TLS. ``problems`` holds the first
    1000 of ``problems_total`` paths.
    """

    files_total: int = 0
    files_sent: int = 0
    files_skipped: int = 0
    bytes_total: int = 0
    bytes_sent: int = 0
    bytes_wire: int = 0
    orphans_removed: int = 0
    sockets_skipped: int = 0
    seconds: float = 0.0
    problems: tuple[PathProblem, ...] = ()
    bytes_skipped: int = 0
    problems_total: int = 0
