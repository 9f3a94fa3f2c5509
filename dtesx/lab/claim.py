"""Who owns a lab's directory: one process at a time, told by a lock that ends with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dtesx.base.errors import Conflict
from dtesx.base.locks import exclusive

_LOCK = "lock"


@contextmanager
def only_lab(directory: Path) -> Iterator[None]:
    """Own ``directory``; Conflict when another living process does."""
    taken = Conflict(
        f"a lab runs in {directory} already",
        hint="end it (dtesx lab down, or the demo that made it), or choose another directory",
    )
    with exclusive(directory / _LOCK, taken):
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
