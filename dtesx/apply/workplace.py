"""The directory that operations act in, and the steps that all of them share."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass

from dtesx.apply import flags, metadata
from dtesx.apply.copying import basis_of
from dtesx.apply.directories import Directories, OpenDirectory
from dtesx.apply.leftovers import tidy_directory
from dtesx.wire.items import TEMPORARY_PREFIX, Item
from dtesx.wire.sums import Basis

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a file is made: never through a link, never one that is there."""


@dataclass(slots=True)
class Counts:
    """What was carried out: names written, bytes of content, orphans removed and their bytes."""

    files: int = 0
    content_bytes: int = 0
    removed: int = 0
    removed_bytes: int = 0


class Workplace:
    """Where an applier works. ``enter`` raises OSError; ``here`` is valid after it and until the next.

    ``unseen`` tells that the directory has not got its name yet, so that nobody sees what is in it.
    While ``again`` is set, operations are carried out again, and the files made are remembered.
    ``problem`` gets path and reason of an attribute that could not be set.
    """

    def __init__(self, root: int, problem: Callable[[bytes, str], None]) -> None:
        self.directories = Directories(root)
        self.counts = Counts()
        self.path = b""
        self.here: OpenDirectory = self.directories.get(b"")
        self.unseen = False
        self.again = False
        self._made: set[int] = set()
        self._problem = problem
        self._ours = TEMPORARY_PREFIX + secrets.token_hex(4).encode()
        self._temporaries = 0

    def enter(self, path: bytes) -> None:
        """Work in ``path`` from now on."""
        self.path, self.unseen = path, False
        self.here = self.directories.get(path)
        self.unseen = path in self.directories.staged

    def show(self) -> None:
        """Give this directory its name. Raises OSError, among others when the name is taken."""
        self.directories.publish(self.path)
        self.unseen = False

    def below(self, name: bytes) -> bytes:
        """The path of a name in this directory, from the root; of the directory itself for no name."""
        return self.path + b"/" + name if self.path and name else self.path or name

    def temporary(self) -> bytes:
        """A name that nothing else has, for something unfinished."""
        self._temporaries += 1
        return b"%s.%x" % (self._ours, self._temporaries)

    def tidy(self) -> None:
        """Remove from this directory what an earlier process left. Raises OSError."""
        tidy_directory(self.here.fd, self._ours, self._problem)

    def complain(self, name: bytes) -> Callable[[str], None]:
        """Takes reasons why attributes of ``name`` could not be set."""
        return lambda reason: self._problem(self.below(name), reason)

    def take_place(self, here: OpenDirectory, temporary: bytes, name: bytes) -> None:
        """Rename over whatever has the name, as long as it is no directory with something in it."""
        fd = here.fd
        try:
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        except IsADirectoryError:
            self.directories.forget(self.below(name))
            _remove_empty(fd, name)
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
        except PermissionError:
            if not flags.take_off(fd, name):
                raise
            os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)

    def settle_file(self, fd: int, item: Item, atime_ns: int) -> None:
        """All metadata of a file that was just made with the item's rwx bits, but its flags."""
        complain = self.complain(item.name)
        if self.here.inherits:
            metadata.settle(fd, item, atime_ns, os.fstat(fd), complain)
        else:
            metadata.settle_new(fd, item, atime_ns, self.here.gid, complain)

    def settle_flags(self, fd: int, name: bytes, wanted: int) -> None:
        """The chattr(1) flags, if there are any: last, because they may forbid everything else."""
        if flags.any_to_put(wanted):
            flags.put(fd, wanted, self.complain(name))

    def settle_at(self, name: bytes, item: Item) -> None:
        """Metadata of a name that must not be opened: by a descriptor that pins it and opens nothing."""
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.here.fd)
        try:
            status = os.fstat(fd)
            if stat.S_IFMT(status.st_mode) != item.kind:
                raise OSError(errno.ESTALE, "is something else on the target than it was when listed")
            place, refused = b"/proc/self/fd/%d" % fd, list[str]()
            metadata.settle(place, item, item.mtime_ns, status, refused.append)
            if refused:
                with flags.off_name(self.here.fd, name):
                    metadata.settle(place, item, item.mtime_ns, os.fstat(fd), self.complain(item.name))
        finally:
            os.close(fd)

    def made(self, fd: int) -> None:
        """A file has its content and its name."""
        if self.again:
            self._made.add(os.fstat(fd).st_ino)

    def basis(self, name: bytes, compared: Basis) -> Basis:
        """The file that was compared. What was made again since is the same, though not by its inode."""
        if self._made:
            status = os.stat(name, dir_fd=self.here.fd, follow_symlinks=False)
            if status.st_ino in self._made:
                return basis_of(status)
        return compared

    def settled(self) -> None:
        """What was made is on disk, and will not be made again."""
        self._made.clear()

    def close(self) -> None:
        """Close all directories."""
        self.directories.close()


def _remove_empty(directory: int, name: bytes) -> None:
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        reason = "a directory is in its place on the target, with files that were not to be removed"
        raise OSError(errno.ENOTEMPTY, reason) from error
