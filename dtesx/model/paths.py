"""Paths below a root, as bytes and without a slash at either end; the root itself is the empty one."""

from __future__ import annotations

from collections.abc import Iterator


def join(directory: bytes, name: bytes) -> bytes:
    """The path of a name in a directory."""
    return directory + b"/" + name if directory else name


def split(path: bytes) -> tuple[bytes, bytes]:
    """The directory and the name of a path."""
    directory, _, name = path.rpartition(b"/")
    return directory, name


def upwards(path: bytes) -> Iterator[bytes]:
    """The path and those of the directories above it, but for the root."""
    while path:
        yield path
        path = path.rpartition(b"/")[0]
