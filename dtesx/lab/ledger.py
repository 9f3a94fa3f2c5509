"""The service of the lab's source: a ledger that grows by a line every 200 ms, each line synced.

Every line is ``N EPOCH HASH``, where HASH is the SHA-256 of the line before it, N and EPOCH: a copy
that lost, reordered or mixed anything does not verify. This file is also installed in the tree and
run there, so it uses nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

LEDGER = Path("/srv/ledger/ledger.txt")
INTERVAL = 0.2
_FIRST = "0" * 64


def next_line(previous: str, epoch: int) -> str:
    """The line after ``previous`` ("" for the first), without its newline."""
    number, digest = (int(previous.split()[0]), previous.split()[2]) if previous else (0, _FIRST)
    chained = hashlib.sha256(f"{digest} {number + 1} {epoch}".encode()).hexdigest()
    return f"{number + 1} {epoch} {chained}"


def verify(lines: Iterable[str]) -> int:
    """How many whole, correctly chained lines there are; ValueError names the first wrong one."""
    previous, count = "", 0
    for line in lines:
        words = line.split()
        if len(words) != 3 or next_line(previous, int(words[1])) != line:
            raise ValueError(f"ledger line {count + 1} does not follow from the one before it: {line!r}")
        previous, count = line, count + 1
    return count


def write_forever(path: Path) -> None:
    """Append lines until killed; half a line left by a crash is removed first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    whole = data[: data.rfind(b"\n") + 1]
    os.ftruncate(fd, len(whole))
    previous = whole.decode().splitlines()[-1] if whole else ""
    os.lseek(fd, 0, os.SEEK_END)
    while True:
        previous = next_line(previous, int(time.time()))
        os.write(fd, f"{previous}\n".encode())
        os.fsync(fd)
        time.sleep(INTERVAL)


if __name__ == "__main__":
    write_forever(Path(sys.argv[1]) if len(sys.argv) > 1 else LEDGER)
