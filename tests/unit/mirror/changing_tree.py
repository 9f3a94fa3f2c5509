"""A tree that is changed at random, and what is told of that: as capture tells it, by paths of the time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dtesx.model.changes import Changes, Touch
from dtesx.model.spans import Span

PAGE = 4096
END = 1 << 40
_PLACES = [(), ("d",), ("e",), ("d", "f")]
_NAMES = ["a", "b", "c", "d", "e", "f"]

Deed = tuple[str, int, int, int]
"""What is done, and three numbers that say to what."""

DEEDS = (
    "write",
    "append",
    "truncate",
    "make",
    "make large",
    "mkdir",
    "remove",
    "rename",
    "link",
    "chmod",
    "symlink",
)


@dataclass
class _Told:
    """Hints since the last drain: names by the inode of their directory, parts by the inode of their file."""

    names: list[tuple[int, str, Touch]] = field(default_factory=list)
    parts: list[tuple[int, Span]] = field(default_factory=list)


class ChangingTree:
    """The tree at ``root``, with files of at least ``large`` bytes."""

    def __init__(self, root: Path, large: int) -> None:
        self.root = root
        self._large = large
        self._told, self._before = _Told(), _Told()
        self._were: dict[int, Path] = {}
        self._held: list[int] = []
        for place in _PLACES:
            root.joinpath(*place).mkdir(exist_ok=True, parents=True)
        for number, path in enumerate(("a", "d/a", "d/f/a", "e/b")):
            (root / path).write_bytes(os.urandom(large if number % 2 else PAGE))
        self.drain()

    def close(self) -> None:
        for fd in self._held:
            os.close(fd)

    def drain(self) -> Changes:
        """What happened since the last time."""
        paths = {path.lstat().st_ino: path for path in self._all()}
        changes = Changes()
        for told, again in ((self._before, True), (self._told, False)):
            for inode, name, touch in told.names:
                path = paths.get(inode)
                if path is not None and not (again and path == self._were.get(inode)):
                    changes.touch(self._relative(path), os.fsencode(name), touch)
            for inode, part in told.parts:
                path = paths.get(inode)
                if path is not None and not (again and path == self._were.get(inode)):
                    names = {self._relative(path.parent): {os.fsencode(path.name): Touch.CONTENT}}
                    changes.add(Changes(names, {self._relative(path): (part,)}))
        self._before, self._told, self._were = self._told, _Told(), paths
        return changes

    def act(self, deed: Deed) -> None:
        """Do something, if it can be done."""
        kind, one, other, size = deed
        directories = [path for path in self._all() if path.is_dir() and not path.is_symlink()]
        place = directories[one % len(directories)] / _NAMES[other % len(_NAMES)]
        things = sorted(self._all())[1:]
        if not things:
            kind = "make"
        thing = things[one % len(things)] if things else place
        with suppress(OSError):  # it is there already, is no file, ...
            self._act(kind, thing, place, directories[other % len(directories)], (other, size))

    def _act(self, kind: str, thing: Path, place: Path, directory: Path, numbers: tuple[int, int]) -> None:
        other, size = numbers
        match kind:
            case "write" | "append" | "truncate":
                self._change(thing, kind, other, size)
            case "make" | "make large":
                self._make(place, size % 8 * PAGE + (self._large if "large" in kind else 0))
            case "mkdir":
                place.mkdir()
                self._tell(place, Touch.METADATA | Touch.APPEARED)
            case "symlink":
                place.symlink_to("somewhere")
                self._tell(place, Touch.METADATA | Touch.APPEARED)
            case "remove":
                self._remove(thing)
            case "rename":
                self._rename(thing, directory / _NAMES[size % len(_NAMES)])
            case "link":
                os.link(thing, place, follow_symlinks=False)
                self._tell(thing, Touch.METADATA)
                self._tell(place, Touch.METADATA | Touch.APPEARED)
            case "chmod":
                thing.chmod(0o700 | size % 64)
                self._tell(thing, Touch.METADATA)

    def _all(self) -> Iterator[Path]:
        yield self.root
        yield from self.root.rglob("*")

    def _relative(self, path: Path) -> bytes:
        return b"" if path == self.root else os.fsencode(path.relative_to(self.root))

    def _tell(self, path: Path, touch: Touch) -> None:
        self._told.names.append((path.parent.stat().st_ino, path.name, touch))

    def _make(self, path: Path, size: int) -> None:
        with path.open("xb") as file:
            file.write(os.urandom(size))
        self._tell(path, Touch.METADATA | Touch.APPEARED)

    def _change(self, path: Path, kind: str, at: int, count: int) -> None:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if kind == "truncate":
                new = at * PAGE + count
                file.truncate(new)
                part = min(new, size) // PAGE * PAGE, END
            else:
                begin = size if kind == "append" else at * PAGE
                file.seek(begin)
                file.write(os.urandom(count * PAGE))
                part = begin // PAGE * PAGE, -(-(begin + count * PAGE) // PAGE) * PAGE
            self._told.parts.append((os.fstat(file.fileno()).st_ino, part))

    def _remove(self, path: Path) -> None:
        # No other one gets its inode number: capture tells them apart by their generations.
        self._held.append(os.open(path, os.O_PATH | os.O_NOFOLLOW))
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
        self._tell(path, Touch.METADATA)

    def _rename(self, old: Path, new: Path) -> None:
        if new.exists() or new.is_symlink():
            self._held.append(os.open(new, os.O_PATH | os.O_NOFOLLOW))
        above = old.parent.stat().st_ino
        old.rename(new)
        self._told.names.append((above, old.name, Touch.METADATA))
        self._tell(new, Touch.METADATA | Touch.APPEARED)
