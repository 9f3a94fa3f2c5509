"""Durable small files: what these functions return from is on disk."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable (fsync(2): the directory needs its own sync)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace ``path`` by ``data``: readers see the old or the new content, never a part."""
    _replace(path, data, mode, durable=True)
    sync_directory(path.parent)


def replace_volatile(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Like write_atomic, without waiting for the disk: for reports that a restart makes anew."""
    _replace(path, data, mode, durable=False)


def _replace(path: Path, data: bytes, mode: int, *, durable: bool) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def private_directory(path: Path) -> Path:
    """Make ``path`` (and its parents) if missing, readable by its owner only; return it."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path
