"""Storage in memory whose every step can fail in every way a disk and a process do."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field


class Crash(BaseException):
    """The process died here."""


@dataclass
class BrokenStorage:
    """``fails`` maps the number of a step to what happens there, and how much was done by then (0 to 1)."""

    fails: dict[int, tuple[str, float]] = field(default_factory=dict)
    files: dict[str, bytearray] = field(default_factory=dict)
    room: int = 1 << 40
    step: int = 0

    def _step(self) -> tuple[str, float]:
        self.step += 1
        return self.fails.get(self.step, ("", 1.0))

    def _fail(self, kind: str) -> None:
        if kind == "crash":
            raise Crash
        if kind:
            raise OSError(getattr(errno, kind), kind)

    def names(self) -> list[str]:
        self._fail(self._step()[0])
        return sorted(self.files)

    def append(self, name: str, data: bytes) -> None:
        kind, part = self._step()
        if not kind and len(data) > self.free():
            kind, part = "ENOSPC", self.free() / len(data)
        done = len(data) if not kind else int(part * len(data))
        if done or part < 1:
            self.files.setdefault(name, bytearray()).extend(data[:done])
        self._fail(kind)

    def read(self, name: str, offset: int, length: int) -> bytes:
        self._fail(self._step()[0])
        return bytes(self.files[name][offset : offset + length])

    def truncate(self, name: str, size: int) -> None:
        self._fail(self._step()[0])
        del self.files[name][size:]

    def remove(self, name: str) -> None:
        kind, part = self._step()
        if not kind or part > 0.5:
            del self.files[name]
        self._fail(kind)

    def free(self) -> int:
        return self.room - sum(map(len, self.files.values()))
