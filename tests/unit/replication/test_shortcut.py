"""The shortcut by digests and catalogues against the plain comparison, name by name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings

from dtesx.mirror.catalogue import Catalogue
from dtesx.mirror.mirroring import TreeMirror
from dtesx.mirror.packing import Packer
from dtesx.mirror.sums import Summer
from dtesx.mirror.tally import Tally
from dtesx.mirror.view import View
from dtesx.mirror.window import Asker
from dtesx.model.changes import Changes
from dtesx.model.mirror import MirrorOptions
from dtesx.model.stats import MirrorStats
from dtesx.replication.answering import Answering
from dtesx.wire.messages import Ask, Directory, Question
from dtesx.wire.operations import End, Enter, Finish, Operation, Put
from dtesx.wire.parts import Content
from dtesx.wire.sums import SumsRequest

from ..mirror.trees import Change, carry_out, changes, later, next_tick


def no_sums(request: SumsRequest) -> None:
    """These trees have no large files, so no sums are asked for."""
    raise AssertionError(request.name)


def plan(
    where: Path, *, shortcut: bool, changed: Changes | None = None
) -> tuple[list[Operation], bytes, MirrorStats]:
    """What a mirror of ``source`` to ``target`` would do."""
    operations: list[Operation] = []
    content: list[Content] = []

    def send(some: list[Operation], blob: list[Content]) -> None:
        operations.extend(some)
        content.extend(blob)

    tally = Tally(clock=lambda: 0.0)
    with ExitStack() as stack:
        fds = []
        for name in ("source", "target"):
            fds.append(os.open(where / name, os.O_RDONLY | os.O_DIRECTORY))
            stack.callback(os.close, fds[-1])
        answering = Answering(fds[1], 0, tally.problem, where / "theirs" if shortcut else None)
        stack.callback(answering.close)
        catalogue = Catalogue(where / "ours", fds[0]) if shortcut else None

        def ask(directories: list[Question], last: bool) -> None:
            plain = [(path, b"", names) for path, _, names in directories]
            answering.ask(Ask(0, directories if shortcut else plain))

        def answers() -> Iterator[int | Directory]:
            while True:
                yield from answering.answer().directories

        asker = Asker(0, Summer(b""), no_sums, lambda _wait: None)
        TreeMirror(
            *(fds[0], ask, answers(), Packer(send), asker, tally),
            options=MirrorOptions(),
            view=View(catalogue=catalogue, changed=Changes(everything=True) if changed is None else changed),
        ).run()
        answering.keep()
        if catalogue is not None:
            catalogue.keep()
    return [_comparable(operation) for operation in operations], b"".join(map(bytes, content)), tally.stats()


def _comparable(operation: Operation) -> Operation:
    """Without what reading changes, and without what means nothing."""
    if isinstance(operation, Finish):
        operation = Finish(msgspec.structs.replace(operation.item, name=b""), operation.flags)
    if isinstance(operation, (Put, End)):
        operation = msgspec.structs.replace(operation, atime_ns=0)
    return operation


def twins(where: Path, todo: list[Change]) -> None:
    """Two equal trees."""
    (where / "source").mkdir()
    carry_out(where / "source", todo)
    shutil.copytree(where / "source", where / "target", symlinks=True)


@settings(max_examples=300, deadline=None)
@given(changes, changes, changes)
def test_the_shortcut_plans_what_the_plain_comparison_plans(
    both: list[Change], ours: list[Change], theirs: list[Change]
) -> None:
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch, later(patch):
        where = Path(scratch)
        twins(where, both)
        next_tick(where)
        plan(where, shortcut=True)
        next_tick(where)
        carry_out(where / "source", ours)
        carry_out(where / "target", theirs)
        by_digests = plan(where, shortcut=True)
        assert by_digests == plan(where, shortcut=False)
        assert plan(where, shortcut=True) == by_digests


def test_what_is_the_same_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twins(tmp_path, [])
    for number in range(3):
        for name in ("source", "target"):
            (tmp_path / name / f"d{number}").mkdir()
            (tmp_path / name / f"d{number}" / "f").write_bytes(b"12")
    for path in (*tmp_path.rglob("f"), *tmp_path.rglob("d?"), tmp_path / "source", tmp_path / "target"):
        os.utime(path, ns=(0, 0))
    told: list[int | Directory] = []
    answer = Answering.answer

    def noted(answering: Answering) -> object:
        found = answer(answering)
        told.extend(found.directories)
        return found

    monkeypatch.setattr(Answering, "answer", noted)
    operations, _, stats = plan(tmp_path, shortcut=True)
    assert (operations, told) == ([], [4])
    assert (stats.files_skipped, stats.bytes_skipped) == (3, 6)


def test_doubtful_files_are_compared_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twins(tmp_path, [])
    for name in ("source", "target"):
        (tmp_path / name / "f").write_bytes(b"12")
    for path in (*tmp_path.rglob("f"), tmp_path / "source", tmp_path / "target"):
        os.utime(path, ns=(0, 0))
    assert plan(tmp_path, shortcut=True)[0] == []
    monkeypatch.setattr("dtesx.replication.answering.doubt_from", lambda _root: 0)
    operations, content, _ = plan(tmp_path, shortcut=True)
    assert [type(operation) for operation in operations] == [Enter, Put, Finish]
    assert content == b"12"


def test_where_nothing_changed_nothing_is_planned(tmp_path: Path) -> None:
    twins(tmp_path, [])
    (tmp_path / "source/only here").touch()
    (tmp_path / "target/only there").touch()
    operations, _, _ = plan(tmp_path, shortcut=False, changed=Changes())
    assert operations == []
