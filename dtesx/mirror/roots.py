"""Looking at the root directories of both sides: which they are, and whether there is anything in them."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from dtesx.base.errors import RootReplaced
from dtesx.mirror.mounts import mounts_below
from dtesx.mirror.selection import Scope
from dtesx.mirror.tally import readable
from dtesx.model.roots import SourceRoot
from dtesx.wire.items import TEMPORARY_PREFIX

# linux/fs.h (6.9): _IOR(0x15, 0, struct fsuuid2), which is a length and 16 bytes.
_FS_IOC_GETFSUUID = 0x80111500
_UUID_BYTES = 16
_WATCH_SECONDS = 1.0
_NO_CONTENT = frozenset({b"lost+found"})


def look(fd: int, path: str, scope: Scope | None = None, last: SourceRoot | None = None) -> SourceRoot:
    """The source's root behind ``fd``; only names that ``scope`` selects (None: all) count.

    What travelled from mounts that ``last`` knows stays on the target while they are mounted, whether
    a rule still names them or not; so they are kept in mind.
    """
    names = [name for name in _names(fd) if scope is None or not scope.choose(name).nothing]
    known = last.mounts if last is not None else ()
    points = mounts_below(fd) if scope is not None or known else ()
    mounts = [point for point in points if readable(point) in known or _named(scope, point)]
    return SourceRoot(
        readable(os.fsencode(path)),
        os.fstat(fd).st_ino,
        file_system(fd),
        len(names),
        tuple(sorted(map(readable, mounts))),
    )


def is_empty(fd: int) -> bool:
    """Whether a replica's root holds nothing that a mirror brought."""
    return all(name.startswith(TEMPORARY_PREFIX) for name in _names(fd))


def file_system(fd: int) -> str:
    """What stays the same for one file system wherever and whenever it is mounted.

    That is f_fsid of statvfs(3), which most file systems make of their UUID. Those that make it of
    the device number, which changes when disks are found in another order, are asked for the UUID.
    """
    number = os.fstatvfs(fd).f_fsid
    if number != os.fstat(fd).st_dev:
        return f"{number:x}"
    return _uuid(fd) or f"{number:x}"


class Watch:
    """Tells when the root that is being mirrored is not what its path names any more.

    ``opener`` opens the root's ``path`` anew, ``fd`` is the root as it was opened for the mirror.
    """

    def __init__(
        self,
        opener: Callable[[str], AbstractContextManager[int]],
        path: str,
        fd: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opener = opener
        self._path = path
        self._known = _identity(fd)
        self._clock = clock
        self._next = clock() + _WATCH_SECONDS

    def check_now_and_then(self) -> None:
        """Check once a second, however often it is called."""
        if self._clock() >= self._next:
            self.check()

    def check(self) -> None:
        """Raise RootMissing or RootReplaced when the root was renamed, replaced or unmounted."""
        self._next = self._clock() + _WATCH_SECONDS
        with self._opener(self._path) as fd:
            self.compare(fd)

    def compare(self, fd: int) -> None:
        """Raise RootReplaced unless ``fd`` is the root."""
        if _identity(fd) != self._known:
            raise RootReplaced(
                f"{self._path} became another directory during the mirror, which stopped there",
                hint="look what was renamed or mounted there; the next mirror goes on with what differs",
            )


def _names(fd: int) -> list[bytes]:
    return [name for name in map(os.fsencode, os.listdir(fd)) if name not in _NO_CONTENT]


def _named(scope: Scope | None, path: bytes) -> bool:
    """Whether a rule names ``path``, which makes a walk enter what is mounted there (mirror.scan)."""
    named = False
    for name in path.split(b"/"):
        if scope is None:
            return False
        choice = scope.choose(name)
        named, scope = choice.named, choice.below
    return named


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _uuid(fd: int) -> str:
    """The file system's UUID, or an empty string when it or the kernel does not tell."""
    try:
        answer = fcntl.ioctl(fd, _FS_IOC_GETFSUUID, bytes(1 + _UUID_BYTES))
    except OSError:  # older kernels, and file systems without
        return ""
    return answer[1 : 1 + answer[0]].hex()
