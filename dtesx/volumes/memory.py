"""File systems in memory that nobody else sees: attached nowhere, gone with who opened them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dtesx.base import unattached
from dtesx.base.errors import DtesxError


@contextmanager
def open_memory(size: int) -> Iterator[int]:
    """Yield a descriptor of an empty directory in memory that holds at most ``size`` bytes.

    What is kept there is freed when the context ends and no file of it is open any more. Needs root.
    Raises DtesxError.
    """
    try:
        directory = unattached.mount(b"tmpfs", {b"size": b"%d" % size, b"nr_inodes": b"0"})
    except OSError as error:
        raise DtesxError(
            f"there can be no file system in memory: {error.strerror}",
            hint="run dtesx as root, on a kernel from 5.2 on",
        ) from error
    try:
        yield directory
    finally:
        os.close(directory)
