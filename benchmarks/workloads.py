"""The trees that are mirrored."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

BLOCK = 4096


def small_files(root: Path, count: int, size: int = BLOCK) -> None:
    """``count`` files of ``size`` bytes, 100 in a directory, 50 directories below each top directory."""
    content = os.urandom(2 * size)
    for number in range(0, count, 100):
        directory = root / f"d{number // 5000:03}" / f"e{number // 100:05}"
        directory.mkdir(parents=True)
        for file in range(min(100, count - number)):
            start = (number + file) % size if size else 0
            (directory / f"f{file:04}").write_bytes(content[start : start + size])


def large_files(root: Path, count: int, size: int) -> None:
    """``count`` files of ``size`` random bytes."""
    root.mkdir(parents=True)
    for number in range(count):
        with (root / f"large-{number}").open("wb") as file:
            for _ in range(0, size, 1 << 20):
                file.write(os.urandom(1 << 20))


def overwrite_blocks(root: Path, share: float, seed: int = 1) -> None:
    """Overwrite ``share`` of all 4 KiB blocks of every file, scattered, as a database would."""
    chance = random.Random(seed)
    for path in sorted(root.iterdir()):
        blocks = path.stat().st_size // BLOCK
        with path.open("r+b") as file:
            for block in chance.sample(range(blocks), int(blocks * share)):
                file.seek(block * BLOCK)
                file.write(chance.randbytes(BLOCK))


def insert_bytes(root: Path, where: list[float], length: int = 1000) -> None:
    """Insert ``length`` bytes at each of some places (shares of its length) of every file."""
    chance = random.Random(2)
    for path in sorted(root.iterdir()):
        after = path.with_name("after")
        with path.open("rb") as old, after.open("wb") as new:
            for share in (*where, 1.0):
                end = int(share * path.stat().st_size)
                while piece := old.read(min(1 << 20, end - old.tell())):
                    new.write(piece)
                if share < 1.0:
                    new.write(chance.randbytes(length))
        after.rename(path)


def copy(sources: list[Path], root: Path) -> None:
    """A copy of real directories, with everything about them."""
    root.mkdir(parents=True)
    for source in sources:
        shutil.copytree(source, root / source.name, symlinks=True, copy_function=shutil.copy2)
