"""An epoch is applied whole or not at all, wherever its target dies, and whatever becomes of the source."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from dtesx.apply.epochs import EpochLog
from dtesx.apply.staging import Staging
from dtesx.base.errors import Conflict, EpochDamaged
from dtesx.base.run import run
from dtesx.model.epoch import Epoch, EpochKind, QueueAction, QueueOrder, TargetQueue
from dtesx.model.mirror import MirrorOptions
from dtesx.replication.appliers import Appliers
from dtesx.replication.epochs import Epochs
from dtesx.replication.tasks import Tasks
from dtesx.wire.frames import Frame, FrameType
from dtesx.wire.items import Item
from dtesx.wire.messages import encode
from dtesx.wire.operations import Enter, Moves, Operation, Operations, Put
from dtesx.wire.parts import Content

from .killing import CHANGING, dies
from .test_kill_points import _facts, _mirror, _unexpected, versions

__all__ = ["versions"]

pytestmark = pytest.mark.integration

# Of many epochs not every step is tried out every time; they are alike.
_STRIDE = 1 if "DTESX_TORTURE" in os.environ else 9

T = TypeVar("T")
EPOCH = Epoch(7, EpochKind.CRASH, 1000.0)


class Target:
    """The target's side of one epoch; ``frames`` arrive, ``recover`` is what a new process does first."""

    def __init__(self, tree: Path, log: Path, frames: list[Frame]) -> None:
        self.tree = tree
        self.log = log
        self.frames = frames

    def receive(self) -> None:
        self._work(self._arrive)

    def recover(self) -> None:
        self._work(lambda epochs, _appliers: epochs.recover())

    def _arrive(self, epochs: Epochs, appliers: Appliers) -> None:
        epochs.begin(["/data"])
        for frame in self.frames:
            epochs.add(frame)
        epochs.end(EPOCH, ())
        epochs.apply()
        appliers.sync()
        epochs.settle(EPOCH.number)

    def _work(self, action: Callable[[Epochs, Appliers], None]) -> None:
        with Appliers(lambda _root: self.tree, lambda _path, _reason: None, _unexpected) as appliers:
            epochs = Epochs(EpochLog(self.log), appliers, _unexpected, Tasks(self.log))
            action(epochs, appliers)
            epochs.close()


def _frames(old: Path, new: Path) -> list[Frame]:
    frames: list[Frame] = []

    def send(operations: list[Operation], blob: list[Content]) -> None:
        table = encode(Operations(0, operations))[1]
        frames.append(
            Frame(FrameType.OPERATIONS, 1, memoryview(table), memoryview(b"".join(map(bytes, blob))))
        )

    _mirror(new, old, send, Staging(), MirrorOptions(), kept=True)
    return frames


def test_whole_or_not_at_all(versions: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, old, new = versions
    before, after = _facts(old, metadata=True), _facts(new, metadata=True)
    tree, kept = tmp_path / "target", tmp_path / "epochs"
    kills = applied = 0
    while True:
        shutil.rmtree(tree, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
        run(["cp", "-a", str(old), str(tree)])
        target = Target(tree, kept, _frames(tree, new))
        killed = dies(target.receive, CHANGING, kills)
        whole = EpochLog(kept).last() == EPOCH or bool(EpochLog(kept).waiting())
        dies(target.recover, CHANGING, kills * 7 % 97)  # and a second time, while it recovers
        target.recover()
        assert _facts(tree, metadata=True) == (after if whole else before), kills
        applied += whole
        assert (EpochLog(kept).last() == EPOCH) == whole
        if not killed:
            break
        kills += 1
    print(f"{kills} kill points survived, {applied} of them with the epoch whole")
    assert kills > applied > kills // 2 > 20


_MOVED = (
    (b"a", b"b"),
    (b"b", b"a"),
    (b"c/deep", b"b/inner/deep"),
    (b"a/inner", b"b/inner"),
    (b"c", b"c2"),
    (b"file", b"c2/file"),
    (b"missing", b"never"),
)


def _before(root: Path) -> None:
    for path in ("a/inner/x", "a/1", "b/2", "c/deep/er/3", "c/4", "file"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{path} before")


def _after(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_moves_are_made_once(tmp_path: Path) -> None:
    tree, kept = tmp_path / "target", tmp_path / "epochs"
    expected = {
        "b/1": "a/1 before",
        "b/inner/x": "a/inner/x before",
        "b/inner/deep/er/3": "c/deep/er/3 before",
        "a/2": "b/2 before",
        "c2/4": "c/4 before",
        "c2/file": "file before",
    }
    table = encode(Operations(0, [Enter(b""), Moves(EPOCH.number, list(_MOVED))]))[1]
    frames = [Frame(FrameType.OPERATIONS, 1, memoryview(table), memoryview(b""))]
    kills, killed = 0, True
    while killed:
        shutil.rmtree(tree, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
        tree.mkdir()
        _before(tree)
        before = _after(tree)
        target = Target(tree, kept, frames)
        killed = dies(target.receive, CHANGING, kills)
        whole = EpochLog(kept).last() == EPOCH or bool(EpochLog(kept).waiting())
        dies(target.recover, CHANGING, kills * 7 % 31)
        target.recover()
        assert _after(tree) == (expected if whole else before), kills
        kills += 1
    assert kills > 30


class Queue:
    """A paused place where epochs of these kinds wait; number N makes the file N."""

    def __init__(self, root: Path, kinds: str) -> None:
        self.tree, self.log = root / "target", root / "epochs"
        for path in (self.tree, self.log):
            shutil.rmtree(path, ignore_errors=True)
        self.tree.mkdir()
        log = EpochLog(self.log)
        for number, kind in enumerate(kinds, 1):
            item = Item(b"%d" % number, 0o100644, 0, 0, 0, 1)
            table = encode(Operations(0, [Enter(b""), Put(item, 0)]))[1]
            log.begin(["/data"])
            log.add(Frame(FrameType.OPERATIONS, 1, memoryview(table), memoryview(b"x")))
            log.complete(Epoch(number, KINDS[kind], float(number)))
        log.close()

    def obey(self, order: QueueOrder) -> TargetQueue:
        return self._with_epochs(lambda epochs: epochs.obey(order), resting=True)

    def recover(self, *, resting: bool) -> None:
        self._with_epochs(Epochs.recover, resting=resting)

    def _with_epochs(self, action: Callable[[Epochs], T], *, resting: bool) -> T:
        with Appliers(lambda _root: self.tree, lambda _path, _reason: None, _unexpected) as appliers:
            epochs = Epochs(
                EpochLog(self.log), appliers, _unexpected, Tasks(self.log), resting=lambda: resting
            )
            try:
                return action(epochs)
            finally:
                epochs.close()

    @property
    def applied(self) -> set[str]:
        return {path.name for path in self.tree.iterdir() if not path.name.startswith(".")}


KINDS = {"f": EpochKind.FUZZY, "c": EpochKind.CRASH, "a": EpochKind.APPLICATION}
CONSISTENT = QueueOrder(QueueAction.APPLY, consistent=True)


@pytest.mark.parametrize(
    ("kinds", "order", "applied", "left"),
    [
        ("ffff", QueueOrder(QueueAction.APPLY), 4, 0),
        ("ffff", QueueOrder(QueueAction.APPLY, through=2), 2, 2),
        ("ffff", QueueOrder(QueueAction.DISCARD), 0, 0),
        ("ffff", QueueOrder(QueueAction.DISCARD, through=3), 0, 3),
        ("fcfacff", CONSISTENT, 5, 0),
        ("af", CONSISTENT, 1, 0),
    ],
)
def test_an_order_is_carried_out_however_often_its_process_is_killed(
    tmp_path: Path, kinds: str, order: QueueOrder, applied: int, left: int
) -> None:
    kills, killed = 0, True
    while killed:
        queue = Queue(tmp_path, kinds)
        killed = dies(lambda queue=queue: queue.obey(order), CHANGING, kills)  # type: ignore[misc]
        found = queue.obey(order)
        assert (found.applied.number if found.applied else 0) == applied
        assert [kept.epoch.number for kept in found.waiting] == list(range(applied + 1, applied + left + 1))
        assert queue.applied == {str(number) for number in range(1, applied + 1)}
        kills += 1
    assert kills > 1


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_was_begun_is_completed_though_the_target_is_paused_meanwhile(
    tmp_path: Path, *, comes_back: bool
) -> None:
    kills, killed, halves = 0, True, 0
    while killed:
        queue = Queue(tmp_path, "cf")
        killed = dies(lambda queue=queue: queue.recover(resting=False), CHANGING, kills)  # type: ignore[misc]
        halves += bool(EpochLog(queue.log).begun())
        if comes_back:
            queue.recover(resting=True)
        found = queue.obey(QueueOrder(QueueAction.DISCARD))
        assert queue.applied == {
            str(number) for number in range(1, found.applied.number + 1 if found.applied else 1)
        }
        kills += 1
    assert halves > 2


def test_nobody_knows_what_a_replica_is_that_has_a_part_of_a_damaged_epoch(tmp_path: Path) -> None:
    queue = Queue(tmp_path, "cf")
    queue.obey(QueueOrder(QueueAction.APPLY, through=1))
    log = EpochLog(queue.log)
    log.begin_to_apply(2)
    (file,) = queue.log.glob("*2.begun")
    data = file.read_bytes()
    file.write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    with pytest.raises(EpochDamaged):
        queue.obey(QueueOrder(QueueAction.APPLY))
    assert queue.obey(QueueOrder(QueueAction.DISCARD)) == TargetQueue(None, ())


def test_nothing_is_applied_where_nothing_consistent_waits(tmp_path: Path) -> None:
    queue = Queue(tmp_path, "fff")
    with pytest.raises(Conflict, match="no consistent epoch"):
        queue.obey(CONSISTENT)
    assert queue.applied == set()
    assert len(queue.obey(QueueOrder(QueueAction.SHOW)).waiting) == 3


def _stages(root: Path) -> list[tuple[Path, list[tuple[bytes, bytes]]]]:
    """What a tree becomes, one after the other; where names are moved alone, with how."""
    stages: list[tuple[Path, list[tuple[bytes, bytes]]]] = []

    def stage(change: Callable[[Path], object], moves: list[tuple[bytes, bytes]] | None = None) -> None:
        tree = root / str(len(stages))
        if stages:
            run(["cp", "-a", str(stages[-1][0]), str(tree)])
        else:
            tree.mkdir()
        change(tree)
        stages.append((tree, moves or []))

    def make(tree: Path) -> None:
        (tree / "d").mkdir()
        (tree / "d/x").write_text("x")
        (tree / "small").write_text("first")
        (tree / "large").write_text("large " * 60_000)
        os.link(tree / "small", tree / "link")

    def begin(tree: Path) -> None:
        with (tree / "large").open("r+b") as file:
            file.write(b"begun")

    def patch(tree: Path) -> None:
        with (tree / "large").open("r+b") as file:
            file.write(b"patched")
        (tree / "moved").write_text("second")

    def rearrange(tree: Path) -> None:
        (tree / "e/x").unlink()
        (tree / "d").write_text("where a directory was")
        (tree / "moved").unlink()
        os.link(tree / "large", tree / "moved")

    def swap(tree: Path) -> None:
        (tree / "large").rename(tree / "third")
        (tree / "link").rename(tree / "large")
        (tree / "third").rename(tree / "link")

    stage(make)
    stage(begin)
    stage(lambda tree: (tree / "d").rename(tree / "e"), [(b"d", b"e")])
    stage(lambda tree: (tree / "small").rename(tree / "moved"), [(b"small", b"moved")])
    stage(patch)
    stage(rearrange)
    stage(swap, [(b"large", b"link"), (b"link", b"large")])
    stage(patch)
    return stages


def test_many_epochs_are_carried_out_again_as_if_once(tmp_path: Path) -> None:
    stages = _stages(tmp_path)
    tree, kept, step = tmp_path / "target", tmp_path / "epochs", 0
    expected = [{}, *(_after(stage) for stage, _ in stages)]

    class Many(Target):
        def _arrive(self, epochs: Epochs, appliers: Appliers) -> None:
            for number, (stage, moves) in enumerate(stages, 1):
                frames = _frames(self.tree, stage)
                if moves:
                    table = encode(Operations(0, [Enter(b""), Moves(number, moves)]))[1]
                    frames = [Frame(FrameType.OPERATIONS, 1, memoryview(table), memoryview(b""))]
                epochs.begin(["/data"])
                for frame in frames:
                    epochs.add(frame)
                epochs.end(Epoch(number, EpochKind.FUZZY, 0.0), ())
                epochs.apply()

    killed = True
    while killed:
        shutil.rmtree(tree, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
        tree.mkdir()
        killed = dies(Many(tree, kept, []).receive, CHANGING, step)
        log = EpochLog(kept)
        last = log.last()
        reached = max([0 if last is None else last.number, *log.waiting()])
        Many(tree, kept, []).recover()
        assert _after(tree) == expected[reached], (step, reached)
        step += _STRIDE
    assert reached == len(stages)
