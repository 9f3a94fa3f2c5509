"""What may be another thing than before although it looks the same. Pure.

Size and times do not tell two files apart that were written within one tick of the clock, or that a
program gave the same times (an archiver, a package manager). So where a name came to stand for another file,
content has to be compared, but for what the target moved in the same way.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from dtesx.model.changes import Names, Touch
from dtesx.model.paths import join, upwards


class Below:
    """Some paths, and all that is below them."""

    def __init__(self, paths: Iterable[bytes] = ()) -> None:
        self._paths = set(paths)

    def add(self, other: Below) -> None:
        """Add the paths of another one."""
        self._paths |= other._paths

    def __contains__(self, path: bytes) -> bool:
        return bool(self._paths) and not self._paths.isdisjoint(upwards(path))


def named(names: Names, touch: Touch) -> Iterable[bytes]:
    """The paths of the names to which all of ``touch`` happened, or may have."""
    return (
        join(directory, name)
        for directory, some in names.items()
        for name, what in some.items()
        if touch in what
    )


def replaced(names: Names, moved: Container[bytes] = ()) -> Below:
    """What stands for other things than before, but for what the target has ``moved`` to these paths."""
    return Below(path for path in named(names, Touch.REPLACED) if path not in moved)
