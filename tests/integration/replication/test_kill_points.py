"""kill -9 between any two system calls: nothing half is ever seen, and the next mirror completes."""

from __future__ import annotations

import os
import random
import shutil
import socket
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.apply import staging
from dtesx.apply.applying import Applier
from dtesx.apply.staging import Staging
from dtesx.base.run import run
from dtesx.mirror.mirroring import TreeMirror
from dtesx.mirror.packing import Packer
from dtesx.mirror.protection import protected
from dtesx.mirror.sums import Summer
from dtesx.mirror.tally import Tally
from dtesx.mirror.view import View
from dtesx.mirror.window import Asker
from dtesx.model.mirror import MirrorOptions, OrphanAction, OrphanPolicy
from dtesx.replication.answering import Answering
from dtesx.replication.summing import Summing
from dtesx.wire.items import TEMPORARY_PREFIX
from dtesx.wire.messages import Ask, Directory, Question
from dtesx.wire.operations import Operation
from dtesx.wire.parts import Content
from dtesx.wire.sums import Sums, SumsRequest

from .killing import ALL, CHANGING, dies

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration

FrameSink = Callable[[list[Operation], list[Content]], None]
Fact = tuple[object, ...]

IN_PLACE = MirrorOptions(in_place=True)
MOVE = MirrorOptions(orphans=OrphanPolicy(OrphanAction.MOVE, move_to="attic"))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def _unexpected(*arguments: object) -> None:
    raise AssertionError(arguments)


def _answers(answering: Answering) -> Iterator[int | Directory]:
    while True:
        yield from answering.answer().directories


def _asker(target: int, staging: Staging) -> Asker:
    """Asks the target's side at once."""
    summer, answers = Summer(b""), deque[Sums]()
    summing = Summing(lambda _: target, summer, staging)

    def ask(request: SumsRequest) -> None:
        summing.ask(request)
        answers.append(summing.answer())

    return Asker(0, summer, ask, lambda _wait: answers.popleft() if answers else None)


def _mirror(
    source: Path,
    target: Path,
    send: FrameSink,
    staging: Staging,
    options: MirrorOptions,
    *,
    kept: bool = False,
) -> None:
    """The source's side, against the target's answers and sums."""
    tally = Tally()
    with _opened(source) as ours, _opened(target) as theirs:
        answering = Answering(theirs, 0, _unexpected, None)

        def ask(directories: list[Question], last: bool) -> None:
            answering.ask(Ask(0, directories, last))

        asker = _asker(theirs, staging)
        packer = Packer(send)
        answers = _answers(answering)
        mirror = TreeMirror(ours, ask, answers, packer, asker, tally, options=options, view=View(), kept=kept)
        mirror.run()
        answering.close()
    assert tally.stats().problems == ()


@contextmanager
def _applier(target: Path, staging: Staging) -> Iterator[FrameSink]:
    """The target's side."""
    beside = target.with_name("beside")
    beside.mkdir(exist_ok=True)
    with _opened(target) as root:
        applier = Applier(
            root,
            _unexpected,
            hold=_unexpected,
            beside=lambda _: os.open(beside, os.O_RDONLY | os.O_DIRECTORY),
            protection=protected,
            adopt=lambda directory, name, basis: staging.adopt((0, directory, name), basis),
        )
    yield lambda operations, blob: applier.apply(operations, memoryview(b"".join(map(bytes, blob))))
    applier.close()


def _both(source: Path, target: Path, options: MirrorOptions) -> None:
    staging = Staging()
    with _applier(target, staging) as send:
        _mirror(source, target, send, staging, options)


def _facts(root: Path, *, metadata: bool) -> dict[str, Fact]:
    """What each name that can be seen stands for; directories only with ``metadata``.

    A target whose source was killed may still be applying what had arrived: names come and go.
    """
    found: dict[str, Fact] = {}
    for directory, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(TEMPORARY_PREFIX.decode())]
        shown = [name for name in names if not name.startswith(TEMPORARY_PREFIX.decode())]
        for name in shown + below + ([""] if metadata else []):
            path = os.path.join(directory, name)
            with suppress(FileNotFoundError):
                fact = _fact(root, path, metadata=metadata)
                if fact is not None:
                    found[os.path.relpath(path, root)] = fact
    return found


def _fact(root: Path, path: str, *, metadata: bool) -> Fact | None:
    status = os.lstat(path)
    if stat.S_ISDIR(status.st_mode) and not metadata:
        return None
    fact: Fact = (stat.S_IFMT(status.st_mode), _content(path, status))
    if metadata:
        xattrs = [(key, os.getxattr(path, key, follow_symlinks=False)) for key in _xattrs(path)]
        fact += (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_rdev)
        fact += (_names(root, status) if status.st_nlink > 1 else [], xattrs)
    return fact


def _names(root: Path, status: os.stat_result) -> list[str]:
    """The names that a file has in the tree; an orphan that was moved away may be a further one."""
    same = [path for path in root.rglob("*") if path.lstat().st_ino == status.st_ino]
    return sorted(str(path.relative_to(root)) for path in same) if len(same) > 1 else []


def _xattrs(path: str) -> list[str]:
    return sorted(n for n in os.listxattr(path, follow_symlinks=False) if not n.startswith("trusted.dtesx."))


def _content(path: str, status: os.stat_result) -> object:
    if stat.S_ISREG(status.st_mode):
        return Path(path).read_bytes()
    return os.readlink(path) if stat.S_ISLNK(status.st_mode) else b""


def _first(root: Path) -> None:
    """A small tree with every kind of operation in it."""
    rng = random.Random(1)
    root.mkdir()
    for directory in ("a", "a/deep", "a/deep/er", "gone", "gone/sub", "in-the-way", "unchanged"):
        (root / directory).mkdir()
    for name in (
        "top",
        "a/one",
        "a/two",
        "a/deep/er/x",
        "gone/1",
        "gone/sub/2",
        "in-the-way/f",
        "unchanged/f",
    ):
        (root / name).write_bytes(rng.randbytes(3000))
    (root / "large").write_bytes(rng.randbytes(300_000))
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(500_000)
        file.write(b"island")
    os.link(root / "a/one", root / "a/deep/one-again")
    (root / "link").symlink_to("top")
    os.mkfifo(root / "fifo")
    os.chown(root / "a/two", 5, 6)
    (root / "a/two").chmod(0o4755)
    os.setxattr(root / "top", "user.x", b"1")
    for path in root.rglob("*"):
        os.utime(path, ns=(1, 1_000_000_000), follow_symlinks=False)


def _second(root: Path) -> None:
    """What becomes of the tree later."""
    rng = random.Random(2)
    (root / "top").write_bytes(rng.randbytes(4000))
    with (root / "large").open("r+b") as file:
        file.seek(100_000)
        file.write(rng.randbytes(9_000))
        file.seek(0, os.SEEK_END)
        file.write(rng.randbytes(9_000))
    shutil.rmtree(root / "gone")
    shutil.rmtree(root / "in-the-way")
    (root / "in-the-way").write_bytes(b"a file now")
    (root / "fifo").unlink()
    (root / "fifo").mkdir()
    (root / "fifo" / "child").write_bytes(b"child")
    (root / "link").unlink()
    (root / "link").symlink_to("elsewhere")
    (root / "a/deep/one-again").unlink()
    os.link(root / "a/two", root / "a/deep/two-again")
    (root / "new").mkdir()
    for number in range(3):
        (root / "new" / f"{number}").write_bytes(rng.randbytes(1000))
    (root / "unchanged").chmod(0o700)
    os.setxattr(root / "a/deep/er/x", "user.y", b"2")


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path, Path]:
    """No tree, the tree, and the tree as it is later."""
    (tmp_path / "v0").mkdir()
    _first(tmp_path / "v1")
    run(["cp", "-a", str(tmp_path / "v1"), str(tmp_path / "v2")])
    _second(tmp_path / "v2")
    return tmp_path / "v0", tmp_path / "v1", tmp_path / "v2"


class Drill:
    """Kills a mirror from ``old`` to ``new`` at every ``stride``-th step and looks at what is left.

    ``complete`` is the next mirror, which nobody kills.
    """

    def __init__(
        self, old: Path, new: Path, target: Path, complete: Callable[[], object], stride: int = 1
    ) -> None:
        self.old, self.new, self.target, self.complete = old, new, target, complete
        self.changes_in_place = False
        self.kills = 0
        self._stride = stride
        self._versions = [_facts(tree, metadata=False) for tree in (old, new)]
        self._whole = _facts(new, metadata=True)

    def run(self, mirror: Callable[[], object], steps: frozenset[str]) -> None:
        """``mirror`` is run from the start again for each kill, with ``target`` as ``old``."""
        while self._reset() and dies(mirror, steps, self.kills * self._stride):
            for path, fact in _facts(self.target, metadata=False).items():
                whole = fact in [facts.get(path) for facts in self._versions]
                assert whole or (path == "large" and self.changes_in_place), (path, self.kills)
            self.complete()
            assert _facts(self.target, metadata=True) == self._whole, self.kills
            assert not list(self.target.rglob(f"{TEMPORARY_PREFIX.decode()}*")), self.kills
            self.kills += 1

    def _reset(self) -> bool:
        for path in (*self.target.iterdir(), self.target.with_name("beside")):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        run(["cp", "-a", f"{self.old}/.", str(self.target)])
        return True


@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize(
    ("options", "patched"),
    [(MirrorOptions(), False), (MirrorOptions(), True), (MOVE, False), (IN_PLACE, False)],
    ids=["delete", "patched", "move", "in-place"],
)
def test_killed_target(
    versions: tuple[Path, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: MirrorOptions,
    patched: bool,
    old: int,
    new: int,
) -> None:
    if patched:  # as where a file system shares no blocks, and all of these files were large
        monkeypatch.setattr(staging, "_clones", lambda _new, _old: False)
        monkeypatch.setattr(staging, "_SYNCS_PAY", 100_000)

    def mirror() -> None:
        _both(versions[new], target, options)

    target = tmp_path / "target"
    target.mkdir()
    drill = Drill(versions[old], versions[new], target, mirror)
    drill.changes_in_place = options.in_place
    drill.run(mirror, CHANGING)
    with capsys.disabled():
        print(f" {drill.kills} kill points of the target survived", end="")
    assert drill.kills > 50


@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 2)])
def test_killed_source(
    bare_site: Site, versions: tuple[Path, ...], capsys: pytest.CaptureFixture[str], old: int, new: int
) -> None:
    site = bare_site
    site.source = versions[new]
    drill = Drill(versions[old], versions[new], site.target, site.mirror, stride=6)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pid = site.spawn_receiver(listener)
        try:
            drill.run(site.mirror, ALL)
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    with capsys.disabled():
        print(f" {drill.kills} kill points of the source survived", end="")
    assert drill.kills > 10
