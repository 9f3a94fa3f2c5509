"""Files of a mounted replica, addressed as the replica will see them, never leaving its root."""

from __future__ import annotations

import ctypes
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from dtesx.base.errors import Conflict, DtesxError
from dtesx.base.files import sync_directory

_MAX_LINKS = 40  # the kernel's own limit (path_resolution(7))
_LABEL = "security.selinux"
_libc = ctypes.CDLL(None, use_errno=True)


class Tree:
    """A replica's tree mounted at ``root``. All paths are the replica's own (``/etc/fstab``).

    ``mounts`` are file systems of the replica that are mounted elsewhere on this machine instead of in the
    tree, by mount point.
    """

    def __init__(self, root: Path, mounts: Mapping[str, Path] | None = None) -> None:
        self.root = root.resolve()
        self._mounts = {path: place.resolve() for path, place in (mounts or {}).items() if path != "/"}

    def resolve(self, path: str) -> Path:
        """Where the path is on this machine, with symbolic links followed inside the root.

        What does not exist resolves to where it would be made. Raises Conflict on a loop of links.
        """
        pending = [part for part in path.split("/") if part not in ("", ".")][::-1]
        done: list[str] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                done = done[:-1]
                continue
            here = self._place([*done, part])
            if not here.is_symlink():
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise Conflict(
                    f"{path} of the replica is a loop of symbolic links",
                    hint="repair it on the source and mirror again",
                )
            target = str(here.readlink())
            if target.startswith("/"):
                done = []
            pending += [step for step in target.split("/") if step not in ("", ".")][::-1]
        return self._place(done)

    def _place(self, parts: Sequence[str]) -> Path:
        """Where a path without links is on this machine."""
        for count in range(len(parts), 0, -1) if self._mounts else ():
            mount = self._mounts.get("/" + "/".join(parts[:count]))
            if mount is not None:
                return mount.joinpath(*parts[count:])
        return self.root.joinpath(*parts)

    def is_file(self, path: str) -> bool:
        """Whether the path is a regular file or a link to one."""
        return self.resolve(path).is_file()

    def is_directory(self, path: str) -> bool:
        """Whether the path is a directory or a link to one."""
        return self.resolve(path).is_dir()

    def names(self, path: str) -> tuple[str, ...]:
        """The names in a directory, sorted; none when there is no such directory."""
        directory = self.resolve(path)
        return tuple(sorted(path.name for path in directory.iterdir())) if directory.is_dir() else ()

    def read(self, path: str) -> bytes:
        """A file's content; empty when there is no such file."""
        place = self.resolve(path)
        return place.read_bytes() if place.is_file() else b""

    def text(self, path: str) -> str:
        """A file's content as text; bytes that are not UTF-8 survive a later write."""
        return self.read(path).decode(errors="surrogateescape")

    def write(self, path: str, data: bytes | str, *, mode: int = 0o644, durable: bool = True) -> bool:
        """Replace a file at once; tell whether that changed it. Missing directories are made.

        Owner, mode and extended attributes of a replaced file are kept; a new one is root's with
        ``mode`` and its directory's SELinux label, as if the replica had made it. Without ``durable``
        the file is safe only after ``sync``.
        """
        content = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        place = self.resolve(path)
        if place.is_file() and place.read_bytes() == content:
            return False
        _make_directories(place.parent)
        temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                _take_over(place, file.fileno(), mode)
                if durable:
                    os.fsync(file.fileno())
            os.replace(temporary, place)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_directory(place.parent)
        return True

    def remove(self, path: str) -> None:
        """Remove a file, or the link at the end of the path; fine when it is not there."""
        head, _, name = path.rstrip("/").rpartition("/")
        directory = self.resolve(head)
        (directory / name).unlink(missing_ok=True)
        if directory.is_dir():
            sync_directory(directory)

    def sync(self, path: str = "/") -> None:
        """Make everything on the file system that holds ``path`` durable (syncfs(2))."""
        fd = os.open(self.resolve(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.syncfs(ctypes.c_int(fd)) != 0:
                reason = os.strerror(ctypes.get_errno())
                raise DtesxError(
                    f"{path} of the replica cannot be synced: {reason}",
                    hint="check the disk and the kernel log (dmesg), then try again",
                )
        finally:
            os.close(fd)


def _make_directories(path: Path) -> None:
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    for directory in reversed(missing):
        directory.mkdir()
        _inherit_label(directory.parent, directory)


def _inherit_label(directory: Path, new: Path | int) -> None:
    """What the replica's kernel would do; a policy denies access to what has no label at all."""
    if _LABEL in os.listxattr(directory):
        os.setxattr(new, _LABEL, os.getxattr(directory, _LABEL))


def _take_over(place: Path, fd: int, mode: int) -> None:
    """Give the new file what the old one had."""
    if not place.is_file():
        os.fchmod(fd, mode)
        _inherit_label(place.parent, fd)
        return
    old = place.stat()
    os.fchown(fd, old.st_uid, old.st_gid)
    os.fchmod(fd, stat.S_IMODE(old.st_mode))
    for name in os.listxattr(place):
        os.setxattr(fd, name, os.getxattr(place, name))
