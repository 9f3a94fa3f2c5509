"""What an interrupted mirror leaves: names that begin with TEMPORARY_PREFIX, journals among them."""

from __future__ import annotations

import os
from collections.abc import Callable

from dtesx.apply.errors import check_broken
from dtesx.apply.journal import HIDDEN, complete, is_there, journal_of
from dtesx.apply.removal import remove
from dtesx.wire.items import TEMPORARY_PREFIX

MOVES = TEMPORARY_PREFIX + b"moves."
"""Names of the directories in which apply.moving has what it is moving."""


def tidy(directory: int, name: bytes, problem: Callable[[bytes, str], None]) -> None:
    """Complete or remove what an interrupted mirror left; ``problem`` is told when that fails.

    What was being moved stays: the epoch that moves it will be carried out again. So does a hidden file
    that has a journal, which gives it its name.
    """
    if name.startswith(MOVES) or (name.startswith(HIDDEN) and is_there(directory, journal_of(name))):
        return
    try:
        complete(directory, name)
        remove(directory, name)
    except OSError as error:
        check_broken(error, "removing what an interrupted mirror left")
        problem(name, f"left over, and cannot be removed: {error.strerror}")


def tidy_directory(directory: int, ours: bytes, problem: Callable[[bytes, str], None]) -> None:
    """Tidy an open directory, except for names that begin with ``ours``."""
    for name in map(os.fsencode, os.listdir(directory)):
        if name.startswith(TEMPORARY_PREFIX) and not name.startswith(ours):
            tidy(directory, name, problem)
