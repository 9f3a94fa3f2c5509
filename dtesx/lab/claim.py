"""Who owns a lab's directory: one process at a time, told by a lock that ends with it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dtesx.base.errors import Conflict

_LOCK = "lock"


@contextmanager
def only_lab(directory: Path) -> Iterator[None]:
    """Own ``directory``; Conflict when another living process does."""
    with (directory / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"a lab runs in {directory} already",
                hint="end it (dtesx lab down, or the demo that made it), or choose another directory",
            ) from error
        yield


def is_owned(directory: Path) -> bool:
    """Whether a living process owns the lab in ``directory``."""
    if not (directory / _LOCK).exists():
        return False
    try:
        with only_lab(directory):
            return False
    except Conflict:
        return True
