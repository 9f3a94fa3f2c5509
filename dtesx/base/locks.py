"""Locks that end with their process, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dtesx.base.errors import DtesxError


@contextmanager
def exclusive(path: Path, taken: DtesxError) -> Iterator[int]:
    """Hold the lock file ``path`` (made with mode 0600 if missing); yields its descriptor.

    Raises ``taken`` when anyone else holds it, in this process or another (flock(2)).
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise taken from error
        yield fd
    finally:
        os.close(fd)
