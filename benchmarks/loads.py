"""Programs that change a source at a steady rate: `python -m benchmarks.loads NAME DIRECTORY`.

Prints "ready", begins when it reads a line, and ends after --seconds, or on SIGTERM, with one line of JSON
that says what it came to. Bytes that are written again within one epoch count as changed once; from
SIGUSR1 on they count once until the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workloads import BLOCK, large_files

FILES = 4
FILE = 256 << 20
EPOCH = 2.0
_TICK = 0.02
_POOL = 8 << 20
_MB = 1_000_000


@dataclass
class Done:
    """What a load came to: changes of names, bytes written, and bytes that are other than before."""

    names: int = 0
    written: int = 0
    changed: int = 0


class Load(ABC):
    """Changes a directory, which ``prepare`` filled, ``per_second`` times a second."""

    per_second = 0

    def __init__(self, where: Path) -> None:
        self._where = where
        self._chance = random.Random(1)
        self._pool = memoryview(self._chance.randbytes(_POOL))
        self.done = Done()

    @staticmethod
    def prepare(where: Path) -> None:
        """Fill a new directory."""
        large_files(where / "large", FILES, FILE)

    @abstractmethod
    def change(self) -> None:
        """One change."""

    def renew(self) -> None:  # noqa: B027 - for most loads there is nothing to do
        """What was written so far counts as changed again when it is written again."""

    def _bytes(self, size: int = BLOCK) -> memoryview:
        at = self._chance.randrange(_POOL - size)
        return self._pool[at : at + size]

    def _files(self) -> list[int]:
        return [os.open(path, os.O_WRONLY) for path in sorted((self._where / "large").iterdir())]


class Scattered(Load):
    """20 MB/s of 4 KiB at any places of large files, and 500 new files of 4 KiB a second."""

    per_second = 5620
    places = FILES * FILE // BLOCK
    created = 500

    def __init__(self, where: Path) -> None:
        super().__init__(where)
        self._large = self._files()
        self._seen: set[int] = set()

    def change(self) -> None:
        if self._chance.randrange(self.per_second) < self.created:
            directory = self._where / "new" / f"{self.done.names // 1000:04}"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"{self.done.names}").write_bytes(self._bytes())
            self.done.names += 1
            self.done.changed += BLOCK
        else:
            place = self._chance.randrange(self.places)
            os.pwrite(self._large[place * BLOCK // FILE], self._bytes(), place * BLOCK % FILE)
            self.done.changed += BLOCK * (place not in self._seen)
            self._seen.add(place)
        self.done.written += BLOCK

    def renew(self) -> None:
        self._seen.clear()


class Hot(Scattered):
    """20 MB/s of 4 KiB at any places of 16 MiB."""

    per_second = 5120
    places = (16 << 20) // BLOCK
    created = 0


class Sequential(Load):
    """80 MB/s into large files, from beginning to end, one after the other, again and again."""

    per_second = 80

    def __init__(self, where: Path) -> None:
        super().__init__(where)
        self._large = self._files()
        self._at = 0

    def change(self) -> None:
        file, at = divmod(self._at, FILE)
        step = min(_MB, FILE - at)
        os.pwrite(self._large[file % FILES], self._bytes(_MB)[:step], at)
        self._at += step
        self.done.written += step
        self.done.changed += step


class Small(Load):
    """3,500 changes of small files a second: half written anew, the others made, renamed, removed."""

    per_second = 3500
    _COUNT = 20_000
    _DIRECTORIES = 200

    def __init__(self, where: Path) -> None:
        super().__init__(where)
        self._names = [str(path.relative_to(where)) for path in (where / "small").glob("*/*")]
        self._made = len(self._names)

    @staticmethod
    def prepare(where: Path) -> None:
        for number in range(Small._DIRECTORIES):
            (where / "small" / f"{number}").mkdir(parents=True)
        for number in range(Small._COUNT):
            name = f"{number % Small._DIRECTORIES}/{number}"
            (where / "small" / name).write_bytes(os.urandom(BLOCK // 2))

    def change(self) -> None:
        kind = self._chance.randrange(8)
        if kind < 4:
            self._write(self._chance.choice(self._names))
        elif kind < 6:
            self._names.append(self._new())
            self._write(self._names[-1])
        elif kind < 7:
            name, at = self._new(), self._chance.randrange(len(self._names))
            (self._where / self._names[at]).rename(self._where / name)
            self._names[at] = name
        else:
            at = self._chance.randrange(len(self._names))
            (self._where / self._names[at]).unlink()
            self._names[at] = self._names[-1]
            self._names.pop()
        self.done.names += 1

    def _new(self) -> str:
        self._made += 1
        return f"small/{self._chance.randrange(self._DIRECTORIES)}/{self._made}"

    def _write(self, name: str) -> None:
        size = self._chance.randint(1, BLOCK)
        (self._where / name).write_bytes(self._bytes(size))
        self.done.written += size
        self.done.changed += size


class Idle(Small):
    """Nothing."""

    per_second = 0


LOADS: dict[str, type[Load]] = {
    "scattered": Scattered,
    "sequential": Sequential,
    "small": Small,
    "hot": Hot,
    "idle": Idle,
}


def _run(load: Load, seconds: float, scale: float, told: Container[int]) -> float:
    """Change at the rate of the load, or what can be done where that is less; returns for how long."""
    began, count, epoch, keeping = time.monotonic(), 0, 0.0, False
    while (now := time.monotonic() - began) < seconds and signal.SIGTERM not in told:
        if signal.SIGUSR1 in told and not keeping:
            keeping, load.done.changed = True, 0
            load.renew()
        elif now >= epoch and not keeping:
            load.renew()
            epoch = now + EPOCH
        due = int(now * load.per_second * scale)
        while count < due and signal.SIGTERM not in told:
            load.change()
            count += 1
        time.sleep(_TICK)
    return time.monotonic() - began


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=LOADS)
    parser.add_argument("where", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0, help="of the load's rate")
    given = parser.parse_args()
    told: set[int] = set()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, _frame: told.add(number))
    load = LOADS[given.name](given.where)
    print("ready", flush=True)
    sys.stdin.readline()
    seconds = _run(load, given.seconds, given.scale, told)
    print(json.dumps(vars(load.done) | {"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
