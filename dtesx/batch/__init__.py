"""What every one of many small files needs, done for many of them by one call, in C where that was built.

``native`` is the extension module, or None. It takes plain cases only and leaves all else, every
failure too, to the code that deals with one file at a time. So all rules are in that code alone, and
where there is no extension it simply does all of the work.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

PURE = "DTESX_PURE"
"""The environment variable that has the extension left out."""

T = TypeVar("T")


class Native(Protocol):
    """The extension. Directories are descriptors; whatever fails is left out and told by no error."""

    def names(self, directory: int, /) -> list[bytes]:
        """The names in a directory, sorted. Raises OSError, alone of all."""

    def look(
        self, directory: int, prefix: bytes, names: list[bytes], own: bytes | None, item: Callable[..., T], /
    ) -> tuple[list[T | None], list[int], bytes, int]:
        """What the names of a directory are.

        Returns the items (``item`` makes them, see wire.items) of regular files and symlinks; the
        numbers of the names that have None for an item; and all facts with the latest ctime, as
        ``facts`` does. Extended attributes are read by ``prefix`` and name, unless ``own`` is None; a
        name with many or large ones, or one that begins with ``own``, has no item.
        """

    def facts(self, directory: int, names: list[bytes], device: int, /) -> tuple[bytes, int, list[bytes]]:
        """What stat(2) says about names, none followed.

        Returns nine native 64-bit numbers for each (see mirror.state), the latest ctime, and which
        names are directories on ``device``; no facts when a name was not found.
        """

    def read(
        self, directory: int, items: list[Any], dense: int, put: Callable[..., T], /
    ) -> tuple[list[T | None], bytes]:
        """Read files that are still as their items say.

        Returns ``put(item, atime_ns, flags)`` for each, None for those that could not be read or
        changed, and their contents one after another. Files above ``dense`` bytes with holes are left
        out, too.
        """

    def put(
        self,
        directory: int,
        operations: list[Any],
        start: int,
        put: type,
        make: type,
        content: memoryview,
        at: int,
        uid: int,
        gid: int,
        settable: int,
        reserved: bytes,
        /,
    ) -> tuple[int, int]:
        """Make the files and symlinks of the operations from number ``start`` on, with the umask 0.

        A file is a ``put``, a symlink a ``make``. Stops at the first operation that is another, that
        could not be carried out, or that has many extended attributes, a flag of ``settable`` or an improper
        or ``reserved`` name. ``uid`` and ``gid`` are what a new file has. ``at`` is where the contents
        begin in ``content``; returns how many were made, and where the next content begins.
        """

    def room(self, size: int, /) -> bytearray:
        """A buffer with whatever was in its memory before: all of it must be overwritten."""


def _load() -> Native | None:
    if os.environ.get(PURE):
        return None
    try:
        return cast(Native, import_module("dtesx.batch._batch"))
    except ImportError:  # it was not built: there was no compiler
        return None


native = _load()
