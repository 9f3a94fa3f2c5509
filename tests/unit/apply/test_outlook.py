"""What an outlook tells of a tree is what the tree is when everything that was foreseen was applied."""

from __future__ import annotations

import os
import random
import stat
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.apply.applying import Applier
from dtesx.apply.outlook import File
from dtesx.apply.staging import unstaged
from dtesx.replication.answering import Answering
from dtesx.replication.outlooks import Outlooks
from dtesx.wire.items import UNSURE, Item
from dtesx.wire.messages import Ask, Directory
from dtesx.wire.operations import (
    Abort,
    Adjust,
    Begin,
    Data,
    End,
    Enter,
    Finish,
    Hole,
    Link,
    Make,
    Moves,
    Operation,
    Put,
    Remove,
)
from dtesx.wire.sums import ANY, Basis

_NAMES = (b"a", b"b", b"c", b"d")
_LATEST = 1 << 60
_OWN = (os.geteuid(), os.getegid())


def _item(rng: random.Random, name: bytes, kind: int, size: int = 0, target: bytes = b"") -> Item:
    mode = 0o777 if kind == stat.S_IFLNK else rng.choice((0o600, 0o644, 0o755))
    return Item(name, kind | mode, *_OWN, rng.randrange(_LATEST), size, target=target)


@dataclass
class _Source:
    """Thinks of operations that make sense for the tree at ``root``, as it is now."""

    root: Path
    rng: random.Random
    number: int = 0

    def think(self) -> tuple[list[Operation], bytes]:
        """Operations of one frame, and its blob."""
        deeds = (self._make, self._make, self._put, self._put, self._piecewise, self._in_place, self._link)
        others = (self._adjust, self._remove, self._special, self._moves, self._moves, self._settle)
        return self.rng.choice(deeds + others)()

    def _make(self) -> tuple[list[Operation], bytes]:
        """A directory with a file in it, in the place of whatever is there."""
        above, name = self._place()
        item = _item(self.rng, name, stat.S_IFDIR)
        operations: list[Operation] = [Enter(above), Make(item), Enter(_join(above, name))]
        blob = b""
        if self.rng.random() < 0.5 and not (self._path(above, name) / "a").is_dir():
            blob = b"in it"
            operations.append(Put(_item(self.rng, b"a", stat.S_IFREG, len(blob)), 0))
        return [*operations, Finish(item)], blob

    def _put(self) -> tuple[list[Operation], bytes]:
        above, name = self._place()
        blob = self.rng.randbytes(self.rng.randrange(9))
        put = Put(_item(self.rng, name, stat.S_IFREG, len(blob)), 0)
        return [Enter(above), *self._way(above, name), put], blob

    def _special(self) -> tuple[list[Operation], bytes]:
        above, name = self._place()
        kind = self.rng.choice((stat.S_IFLNK, stat.S_IFIFO))
        item = _item(self.rng, name, kind, target=b"a/b" if kind == stat.S_IFLNK else b"")
        return [Enter(above), *self._way(above, name), Make(item)], b""

    def _piecewise(self) -> tuple[list[Operation], bytes]:
        above, name = self._place()
        if self.rng.random() < 0.2:
            return [Enter(above), Begin(name), Data(0, 3), Abort()], b"abc"
        end = End(_item(self.rng, name, stat.S_IFREG, 9), 0)
        return [Enter(above), *self._way(above, name), Begin(name), Data(2, 3), end], b"abc"

    def _in_place(self) -> tuple[list[Operation], bytes]:
        paths = [path for path in self._all() if path.is_file() and not path.is_symlink()]
        files = [path for path in paths if path.stat().st_nlink == 1]
        if not files:
            return self._put()
        file = self.rng.choice(files)
        above, name = self._relative(file.parent), os.fsencode(file.name)
        begin = Begin(name, Basis(ANY, file.stat().st_size, 0), in_place=True)
        last: Operation = Abort()
        if self.rng.random() < 0.8:
            last = End(_item(self.rng, name, stat.S_IFREG, self.rng.randrange(12)), 0)
        return [Enter(above), begin, Data(1, 2), Hole(5, 3), last], b"xy"

    def _link(self) -> tuple[list[Operation], bytes]:
        files = [path for path in self._all() if path.is_file() and not path.is_symlink()]
        above, name = self._place()
        if not files or self._path(above, name) in files:
            return self._put()
        file = self.rng.choice(files)
        if file.is_relative_to(self._path(above, name)):
            return self._put()
        return [Enter(above), *self._way(above, name), Link(name, self._relative(file))], b""

    def _adjust(self) -> tuple[list[Operation], bytes]:
        paths = [path for path in self._all() if not stat.S_ISDIR(path.lstat().st_mode)]
        if not paths:
            return self._put()
        path = self.rng.choice(paths)
        item = _item(self.rng, os.fsencode(path.name), stat.S_IFMT(path.lstat().st_mode))
        text = os.fsencode(path.readlink()) if path.is_symlink() else b""
        item = msgspec.structs.replace(item, size=path.lstat().st_size if path.is_file() else 0, target=text)
        return [Enter(self._relative(path.parent)), Adjust(item)], b""

    def _remove(self) -> tuple[list[Operation], bytes]:
        above, name = self._place()
        return [Enter(above), Remove(name)], b""

    def _settle(self) -> tuple[list[Operation], bytes]:
        return [Enter(self._directory()), Finish(_item(self.rng, b"", stat.S_IFDIR))], b""

    def _moves(self) -> tuple[list[Operation], bytes]:
        self.number += 1
        paths = [self._relative(path) for path in self._all()] + [b"nothing"]
        places = [*paths, *(_join(*self._place()) for _ in range(3)), b"nowhere/at"]
        pairs = [(self.rng.choice(paths), self.rng.choice(places)) for _ in range(self.rng.randint(1, 4))]
        return [Enter(b""), Moves(self.number, pairs)], b""

    def _way(self, above: bytes, name: bytes) -> list[Operation]:
        """Only what is no directory can be replaced."""
        path = self._path(above, name)
        return [Remove(name)] if path.is_dir() and not path.is_symlink() else []

    def _all(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if not path.name.startswith(".dtesx"))

    def _directory(self) -> bytes:
        directories = [path for path in self._all() if path.is_dir() and not path.is_symlink()]
        return self._relative(self.rng.choice([self.root, *directories]))

    def _place(self) -> tuple[bytes, bytes]:
        return self._directory(), self.rng.choice(_NAMES)

    def _path(self, above: bytes, name: bytes) -> Path:
        return self.root / os.fsdecode(_join(above, name))

    def _relative(self, path: Path) -> bytes:
        return b"" if path == self.root else os.fsencode(path.relative_to(self.root))


def _join(above: bytes, name: bytes) -> bytes:
    return above + b"/" + name if above else name


def _applier(fd: int, stack: ExitStack) -> Applier:
    def fail(*what: object) -> None:
        raise AssertionError(what)

    def beside(_name: bytes) -> int:
        raise AssertionError

    applier = Applier(
        fd, fail, hold=fail, beside=beside, protection=lambda _: lambda _path, _mode: False, adopt=unstaged
    )
    stack.callback(applier.close)
    return applier


def _told(root: int, outlooks: Outlooks | None, only: list[bytes] | None = None) -> Iterator[Directory]:
    """All that a target tells when it is asked about everything, or about some names of every directory."""
    outlook = outlooks.of("") if outlooks is not None else None
    answering = Answering(root, 0, lambda *what: None, None, outlook=outlook)
    questions = deque([b""])
    try:
        while questions:
            path = questions.popleft()
            answering.ask(Ask(0, [(path, b"", only)]))
            answers = answering.answer().directories
            assert len(answers) == 1, answers
            (answer,) = answers
            assert isinstance(answer, Directory), path
            yield answer
            questions += [_join(path, item.name) for item in answer.items if item.kind == stat.S_IFDIR]
    finally:
        answering.close()


_Known = dict[bytes, Item]
_Groups = set[frozenset[bytes]]


def _tree(directories: Iterator[Directory]) -> tuple[_Known, _Groups]:
    """Every path with what is known of it, and which of them are names of one file."""
    items: _Known = {}
    links: dict[int, set[bytes]] = {}
    for directory in directories:
        for item in directory.items:
            path = _join(directory.path, item.name)
            if item.name.startswith(b".dtesx"):
                continue
            if item.link:
                links.setdefault(item.link, set()).add(path)
            # The time of a directory is what its last Finish says, which comes after all changes in it.
            # That of a file that was given up half changed is when that was.
            time = 0 if item.kind == stat.S_IFDIR or item.mtime_ns >= _LATEST else item.mtime_ns
            size = item.size if item.kind == stat.S_IFREG else 0
            items[path] = msgspec.structs.replace(item, mtime_ns=time, link=0, size=size)
    return items, {frozenset(paths) for paths in links.values() if len(paths) > 1}


def _check(foreseen: tuple[_Known, _Groups], real: tuple[_Known, _Groups]) -> None:
    assert sorted(foreseen[0]) == sorted(real[0])
    for path, item in foreseen[0].items():
        if item.mtime_ns != UNSURE:
            assert item == real[0][path], path
    assert foreseen[1] == real[1]


def _check_content(outlooks: Outlooks, present: Path, future: Path) -> None:
    """Where a file's content is said to be now, it is."""
    for path in future.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        found = outlooks.of("").file(os.fsencode(path.relative_to(future)))
        assert found is not None
        origin = found.origin if isinstance(found, File) else found
        if origin is not None:
            assert (present / os.fsdecode(origin)).read_bytes() == path.read_bytes()


def _go_on(source: _Source, appliers: list[Applier], frames: int) -> list[Operation]:
    said: list[Operation] = []
    for _ in range(frames):
        operations, blob = source.think()
        for applier in appliers:
            applier.apply(operations, memoryview(blob), kept=True)
        said += operations
    for applier in appliers:
        applier.settled()
    return said


@settings(deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 25), st.lists(st.integers(1, 10), min_size=1, max_size=4))
def test_what_is_foreseen_comes_true(seed: int, before: int, epochs: list[int]) -> None:
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        present, future = place / "present", place / "future"
        fds = []
        for root in (present, future):
            root.mkdir()
            fds.append(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
            stack.callback(os.close, fds[-1])
        source, applier = _Source(future, random.Random(seed)), _applier(fds[1], stack)
        _go_on(source, [_applier(fds[0], stack), applier], before)
        outlooks = Outlooks(lambda _root: fds[0])
        stack.callback(outlooks.close)
        for frames in epochs:
            outlooks.of("").add(_go_on(source, [applier], frames))
            for only in (None, [b"a", b"c"]):
                _check(_tree(_told(fds[0], outlooks, only)), _tree(_told(fds[1], None, only)))
            _check_content(outlooks, present, future)


def test_what_waits_for_one_name_of_a_file_is_told_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "one").write_bytes(b"content")
    os.link(tmp_path / "one", tmp_path / "d/other")
    item = Item(b"one", stat.S_IFREG | 0o640, *_OWN, 5, len(b"content"))
    with ExitStack() as stack:
        fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, fd)
        outlooks = Outlooks(lambda _root: fd)
        stack.callback(outlooks.close)
        outlooks.of("").add([Enter(b""), Adjust(item)])
        known, groups = _tree(_told(fd, outlooks))
    assert known[b"d/other"] == msgspec.structs.replace(item, name=b"other")
    assert groups == {frozenset((b"one", b"d/other"))}
