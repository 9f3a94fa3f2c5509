"""Somebody who does to a tree whatever can be done to one, at random."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_EXCHANGE = 2  # renameat2(2)
_KEEP_SIZE_PUNCH = 3  # fallocate(2)
_LARGE = 600_000


class Vandal:
    """Changes the tree below ``root``; the same ``seed`` does the same to the same tree."""

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._rng = random.Random(seed)
        self._count = 0
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
            self.punch,
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
            *([self.store] * 2),
        ]

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

    def punch(self) -> None:
        path = self._file()
        size = path.stat().st_size
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            start = ctypes.c_int64(self._rng.randint(0, size))
            _libc.fallocate(fd, _KEEP_SIZE_PUNCH, start, ctypes.c_int64(self._rng.randint(1, 200_000)))
        finally:
            os.close(fd)

    def rename_directory(self) -> None:
        old, new = self._directory(), self._new()
        if old != self._root and not new.is_relative_to(old):
            old.rename(new)

    def exchange(self) -> None:
        a, b = (self._directory() if self._rng.random() < 0.5 else self._file() for _ in range(2))
        if a != b and self._root not in (a, b) and not (a.is_relative_to(b) or b.is_relative_to(a)):
            _libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), ctypes.c_uint(_EXCHANGE))

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
            os.link(
                f"/proc/self/fd/{fd}", new, src_dir_fd=0, follow_symlinks=True
            )  # linkat(2), so that it follows
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

    def store(self) -> None:
        path = self._file()
        size = path.stat().st_size
        if not size:
            return
        with path.open("r+b") as file, mmap.mmap(file.fileno(), size) as memory:
            for _ in range(3):
                memory[self._rng.randrange(size)] = self._rng.randrange(256)

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
            below = sorted(child for child in path.iterdir() if child.is_dir() and not child.is_symlink())
            if not below:
                break
            path = self._rng.choice(below)
        return path

    def _file(self) -> Path:
        for _ in range(10):
            files = sorted(
                child for child in self._directory().iterdir() if child.is_file() and not child.is_symlink()
            )
            if files:
                return self._rng.choice(files)
        raise FileNotFoundError
