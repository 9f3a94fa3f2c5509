"""The datastore: a directory on an XFS file system of its own, so that copies of disks are reflinks.

It is mounted below the lab's directory in the host's mount namespace before any machine starts,
so that simulator, appliance and QEMU all see the same files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import CommandFailed
from dtesx.base.log import get_logger
from dtesx.base.run import run

log = get_logger(__name__)

DEFAULT_SIZE = 24 << 30


@dataclass(frozen=True)
class LabDatastore:
    """A mounted datastore; ``reflink`` is False when it is only a directory of the host."""

    path: Path
    reflink: bool


@contextmanager
def lab_datastore(directory: Path, *, size: int = DEFAULT_SIZE) -> Iterator[LabDatastore]:
    """Make and mount an empty datastore of ``size`` bytes (sparse) as ``directory/datastore``.

    Falls back to a plain directory on hosts that cannot mount XFS. All of it is removed at the end.
    """
    where = directory / "datastore"
    image = directory / "datastore.img"
    where.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(size)
    try:
        run(["mkfs.xfs", "-q", "-m", "reflink=1", str(image)])
        # Without "discard": the space of a deleted disk goes back with the image. Given back at once, it
        # can take the host's disk minutes, in which the kernel attaches no other disk: that needs an fsync.
        run(["mount", "-t", "xfs", "-o", "loop", str(image), str(where)])
        mounted = True
    except CommandFailed as error:
        log.warning("no XFS here: the datastore is a plain directory", reason=error.message)
        mounted = False
    try:
        yield LabDatastore(where, mounted)
    finally:
        if mounted:
            run(["umount", str(where)])
        image.unlink(missing_ok=True)
        shutil.rmtree(where)
