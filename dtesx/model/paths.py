"""Paths below a root, as bytes and without a slash at either end; the root itself is the empty one."""

from __future__ import annotations


def join(directory: bytes, name: bytes) -> bytes:
    """The path of a name in a directory."""
    return directory + b"/" + name if directory else name


def split(path: bytes) -> tuple[bytes, bytes]:
    """The directory and the name of a path."""
    directory, _, name = path.rpartition(b"/")
    return directory, name
