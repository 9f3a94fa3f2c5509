"""Storage in memory whose every step can fail in every way a disk does."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field


@dataclass
class BrokenStorage:
    """``fails`` maps the number of a step to what happens there, and how much was done by then (0 to 1)."""

    fails: dict[int, tuple[str, float]] = field(default_factory=dict)
    files: list[BrokenFile] = field(default_factory=list)
    room: int = 1 << 40
    step: int = 0

    @property
    def used(self) -> int:
        return sum(len(file.data) for file in self.files)

    def file(self) -> BrokenFile:
        self.fail(self.next()[0])
        self.files.append(BrokenFile(self))
        return self.files[-1]

    def free(self) -> int:
        return self.room - self.used

    def next(self) -> tuple[str, float]:
        self.step += 1
        return self.fails.get(self.step, ("", 1.0))

    def fail(self, kind: str) -> None:
        if kind:
            raise OSError(getattr(errno, kind), kind)


@dataclass(eq=False)
class BrokenFile:
    storage: BrokenStorage
    data: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes, offset: int) -> None:
        kind, part = self.storage.next()
        if not kind and len(data) > self.storage.free() + len(self.data) - offset:
            kind, part = "ENOSPC", 0.5
        done = len(data) if not kind else int(part * len(data))
        self.data[offset : offset + done] = data[:done]
        self.storage.fail(kind)

    def read(self, length: int, offset: int) -> bytes:
        kind, part = self.storage.next()
        self.storage.fail(kind)
        return bytes(self.data[offset : offset + int(part * length)])

    def close(self) -> None:
        self.storage.files.remove(self)
        self.storage.fail(self.storage.next()[0])
