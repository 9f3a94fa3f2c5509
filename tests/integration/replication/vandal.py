"""Somebody who does to a tree whatever can be done to one, at random."""

from __future__ import annotations

import mmap
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .calls import Allocation, Flag, allocate, clone, exchange, has_flag, name, set_flag
from .conftest import ACL, CAPABILITY, DEFAULT_ACL

_LARGE = 600_000
_BLOCK = 4096
_HELD = 6


class Vandal:
    """Changes the tree below ``root``; the same ``seed`` does the same to the same tree.

    A ``lasting`` one keeps some files open and some mapped, whatever becomes of their names, and some
    immutable; only for a tree that goes with the process. The directory ``spared`` is left alone.
    """

    def __init__(self, root: Path, seed: int, *, lasting: bool = False, spared: Path | None = None) -> None:
        self._root = root
        self._spared = spared
        self._rng = random.Random(seed)
        self._count = 0
        self._open: list[int] = []
        self._mapped: list[tuple[int, mmap.mmap]] = []
        self._flagged: list[tuple[int, Flag]] = []
        self._deeds: list[Callable[[], None]] = [
            *([self.create] * 6),
            *([self.overwrite] * 6),
            *([self.append] * 3),
            *([self.mkdir] * 3),
            *([self.rename] * 4),
            *([self.replace] * 3),
            *([self.unlink] * 3),
            *([self.link] * 2),
            self.truncate,
            *([self.blocks] * 3),
            *([self.share] * 2),
            self.copy,
            self.sparse,
            *([self.rename_around] * 2),
            self.rename_directory,
            self.rename_directory,
            self.exchange,
            self.remove_tree,
            self.symlink,
            self.fifo,
            self.attributes,
            self.attributes,
            self.nameless,
            self.direct,
            *([self.store] * 3),
            self.access,
        ]
        if lasting:
            self._deeds += [self.hold, *([self.write_held] * 3), self.flag, *([self.unflag] * 3)]

    def act(self, times: int = 1) -> None:
        for _ in range(times):
            with suppress(OSError):  # what cannot be done is not done
                self._rng.choice(self._deeds)()

    def create(self) -> None:
        self._new().write_bytes(self._content())

    def overwrite(self) -> None:
        path = self._file()
        with path.open("r+b") as file:
            for _ in range(self._rng.randint(1, 4)):
                file.seek(self._rng.randint(0, max(0, path.stat().st_size)))
                file.write(self._rng.randbytes(self._rng.randint(1, 5000)))

    def append(self) -> None:
        with self._file().open("ab") as file:
            file.write(self._rng.randbytes(self._rng.randint(1, 9000)))

    def mkdir(self) -> None:
        self._new().mkdir()

    def rename(self) -> None:
        self._file().rename(self._new())

    def replace(self) -> None:
        victim, new = self._file(), self._new()
        new.write_bytes(self._content())
        new.replace(victim)

    def unlink(self) -> None:
        self._file().unlink()

    def link(self) -> None:
        os.link(self._file(), self._new())

    def truncate(self) -> None:
        path = self._file()
        size = self._rng.randint(0, path.stat().st_size)
        os.truncate(path, size)
        if self._rng.random() < 0.5:
            os.truncate(path, size + self._rng.randint(0, 100_000))

    def blocks(self) -> None:
        """Punch, zero, collapse and insert, in whole blocks or not."""
        with self._opened() as fd:
            size = os.fstat(fd).st_size
            how = self._rng.choice(list(Allocation))
            start, length = self._rng.randint(0, size), self._rng.randint(1, 200_000)
            if how in (Allocation.COLLAPSE, Allocation.INSERT) or self._rng.random() < 0.5:
                start, length = start // _BLOCK * _BLOCK, max(_BLOCK, length // _BLOCK * _BLOCK)
            self._tell(fd, lambda: allocate(fd, how, start, length))

    def share(self) -> None:
        """Reflink a part of one file into another, or into itself."""
        with self._opened() as fd, self._opened() as source:
            most = os.fstat(source).st_size // _BLOCK
            start = self._rng.randint(0, most)
            length = self._rng.randint(0, most - start) * _BLOCK
            at = self._rng.randint(0, 50) * _BLOCK
            self._tell(fd, lambda: clone(fd, source, start * _BLOCK, length, at))

    def copy(self) -> None:
        with self._opened() as fd, self._opened() as source:
            start, at = self._rng.randint(0, os.fstat(source).st_size), self._rng.randint(0, 100_000)
            os.copy_file_range(source, fd, self._rng.randint(1, 200_000), start, at)

    def sparse(self) -> None:
        with self._opened() as fd:
            os.pwrite(fd, self._rng.randbytes(self._rng.randint(1, 9000)), self._rng.randint(0, 8 << 20))

    def rename_around(self) -> None:
        """Two files or directories change their places by way of a third one."""
        kind = self._rng.choice([self._file, self._directory])
        a, b, c = kind(), kind(), self._new()
        if a != b and self._root not in (a, b):
            a.rename(c)
            b.rename(a)
            c.rename(b)

    def rename_directory(self) -> None:
        old, new = self._directory(), self._new()
        if old != self._root and not new.is_relative_to(old):
            old.rename(new)

    def exchange(self) -> None:
        a, b = (self._directory() if self._rng.random() < 0.5 else self._file() for _ in range(2))
        if a != b and self._root not in (a, b) and not (a.is_relative_to(b) or b.is_relative_to(a)):
            exchange(os.fsencode(a), os.fsencode(b))

    def remove_tree(self) -> None:
        path = self._directory()
        if path != self._root and self._rng.random() < 0.4:
            shutil.rmtree(path)

    def symlink(self) -> None:
        # Whoever writes through one must not get anywhere, least of all out of the tree.
        self._new().symlink_to(
            self._rng.choice(["nowhere/at/all", "/nonexistent/dtesx/a", "/nonexistent/b/c"])
        )

    def fifo(self) -> None:
        os.mkfifo(self._new())

    def attributes(self) -> None:
        path = self._rng.choice([self._file, self._directory])()
        if path.is_symlink() or path == self._root:
            return
        kind = self._rng.randrange(4)
        if kind == 0:
            path.chmod(self._rng.choice([0o600, 0o644, 0o755, 0o4711]))
        elif kind == 1:
            os.chown(path, self._rng.randint(0, 3), self._rng.randint(0, 3))
        elif kind == 2 and not path.is_fifo():
            os.setxattr(path, "user.vandal", self._rng.randbytes(9))
        else:
            os.utime(path, ns=(self._rng.randint(0, 1 << 60), self._rng.randint(0, 1 << 60)))

    def nameless(self) -> None:
        """O_TMPFILE, which gets its name when it is complete."""
        new = self._new()
        fd = os.open(new.parent, os.O_TMPFILE | os.O_RDWR, 0o640)
        try:
            os.write(fd, self._content())
            name(fd, os.fsencode(new))
        finally:
            os.close(fd)

    def direct(self) -> None:
        fd = os.open(self._file(), os.O_RDWR | os.O_DIRECT | os.O_NOFOLLOW)
        try:
            with mmap.mmap(-1, 8192) as buffer:
                buffer.write(self._rng.randbytes(8192))
                os.pwritev(fd, [buffer], 4096 * self._rng.randint(0, 20))
        finally:
            os.close(fd)

    def hold(self) -> None:
        """Keep a file open, and keep it mapped; then it may lose its name."""
        path = self._file()
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        if len(self._open) >= _HELD:
            os.close(self._open.pop(0))
        self._open.append(fd)
        if size := os.fstat(fd).st_size:
            if len(self._mapped) >= _HELD:
                mapped_fd, memory = self._mapped.pop(0)
                memory.close()
                os.close(mapped_fd)
            self._mapped.append((os.dup(fd), mmap.mmap(fd, size)))
        if self._rng.random() < 0.3:
            path.unlink()

    def write_held(self) -> None:
        """Write to what is open, whatever its name is now, and store into what is mapped."""
        if self._open:
            fd = self._rng.choice(self._open)
            size = os.fstat(fd).st_size
            os.pwrite(fd, self._rng.randbytes(self._rng.randint(1, 9000)), self._rng.randint(0, size))
        for fd, memory in self._mapped:
            self._store(fd, memory)

    def store(self) -> None:
        with self._opened() as fd:
            if size := os.fstat(fd).st_size:
                with mmap.mmap(fd, size) as memory:
                    self._store(fd, memory)

    def access(self) -> None:
        """Set or remove what is said by extended attributes."""
        path = self._rng.choice([self._file, self._directory])()
        kind, value = self._rng.choice(
            [
                ("system.posix_acl_access", ACL),
                ("system.posix_acl_default", DEFAULT_ACL),
                ("security.capability", CAPABILITY),
                ("trusted.vandal", self._rng.randbytes(self._rng.randint(0, 900))),
            ]
        )
        if self._rng.random() < 0.7:
            os.setxattr(path, kind, value, follow_symlinks=False)
        else:
            os.removexattr(path, kind, follow_symlinks=False)

    def flag(self) -> None:
        path = self._rng.choice([self._file, self._directory])()
        if path == self._root:
            return
        flag, fd = self._rng.choice(list(Flag)), os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        self._flagged.append((fd, flag))
        set_flag(fd, flag, on=True)

    def unflag(self) -> None:
        """Few things stay immutable, so that there is something left to do."""
        if self._flagged:
            fd, flag = self._flagged.pop(0)
            try:
                set_flag(fd, flag, on=False)
            finally:
                os.close(fd)

    def _store(self, fd: int, memory: mmap.mmap) -> None:
        # Behind the end of a file that was cut, or into one that is immutable, a store would end us.
        size = min(len(memory), os.fstat(fd).st_size)
        for _ in range(3 if size and not has_flag(fd, Flag.IMMUTABLE) else 0):
            memory[self._rng.randrange(size)] = self._rng.randrange(256)

    @staticmethod
    def _tell(fd: int, action: Callable[[], None]) -> None:
        """XFS stamps a file before it refuses, and tells nobody."""
        try:
            action()
        except OSError:
            os.utime(fd)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        fd = os.open(self._file(), os.O_RDWR | os.O_NOFOLLOW)
        try:
            yield fd
        finally:
            os.close(fd)

    def _content(self) -> bytes:
        size = self._rng.choice([0, 10, 3000, 3000, 40_000, 300_000, _LARGE])
        return self._rng.randbytes(size)

    def _new(self) -> Path:
        self._count += 1
        path = self._directory() / f"n{self._rng.randrange(30)}-{self._count % 7}"
        if path.is_fifo():  # to open it would take until somebody reads
            path.unlink()
        return path

    def _directory(self) -> Path:
        path = self._root
        while self._rng.random() < 0.7:
            below = {child for child in path.iterdir() if child.is_dir() and not child.is_symlink()}
            below.discard(self._spared)
            if not below:
                break
            path = self._rng.choice(sorted(below))
        return path

    def _file(self) -> Path:
        for _ in range(10):
            files = sorted(
                child for child in self._directory().iterdir() if child.is_file() and not child.is_symlink()
            )
            if files:
                return self._rng.choice(files)
        raise FileNotFoundError
