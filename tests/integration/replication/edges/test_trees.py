"""Whatever can be in a tree and can happen to it arrives by epochs of one moment alone."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.model.epoch import EpochKind
from tests.integration.replication.conftest import Site
from tests.integration.replication.vandal import Vandal

from .conftest import BRIEFLY
from .watching import SECONDS, WAIT, Watched, replicating, report

pytestmark = pytest.mark.integration


def _arrived(site: Site, watched: Watched) -> None:
    watched.caught_up()
    assert site.differences("--checksum", "--exclude=/lost+found", "--exclude=/.dtesx-tmp.*") == ""


def test_whatever_can_be_in_a_tree(mounted: Site, monkeypatch: pytest.MonkeyPatch, rich: object) -> None:
    kept = mounted.source.parent / "kept"
    run(["cp", "-a", f"{mounted.source}/.", str(kept)])
    run(["find", str(mounted.source), "-mindepth", "1", "-delete"])
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        watched = stack.enter_context(replicating(mounted, monkeypatch, lambda _replica: None, only=True))
        watched.caught_up()
        run(["cp", "-a", f"{kept}/.", str(mounted.source)])
        run(["chattr", "+i", str(mounted.source / "small")])
        _arrived(mounted, watched)
        run(["chattr", "-i", str(mounted.source / "small")])
        os.link(mounted.source / "small", mounted.source / "sub/another")
        with (mounted.source / "large").open("r+b") as file:
            file.seek(2 << 20)
            file.write(b"changed")
        (mounted.source / "level-0").rename(mounted.source / "sub/moved")
        _arrived(mounted, watched)
        shutil.rmtree(mounted.source / "sub")
        os.utime(mounted.source / "large", ns=(1, 1))
        _arrived(mounted, watched)
        assert not watched.states[-1].fuzzy


def test_whatever_happens_to_a_tree(mounted: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    vandal = Vandal(mounted.source, 7)
    vandal.act(200)
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        watched = stack.enter_context(replicating(mounted, monkeypatch, lambda _replica: None, only=True))
        for _ in range(2):
            end = time.monotonic() + SECONDS / 2
            while time.monotonic() < end:
                vandal.act(20)
                time.sleep(0.02)
            _arrived(mounted, watched)
    report(watched, len(watched.consistent()))


@BRIEFLY
def test_a_point_of_one_moment_on_demand(mounted: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        watched = stack.enter_context(replicating(mounted, monkeypatch, lambda _replica: None, every=0.0))
        assert watched.replication is not None
        for number in range(2):
            (mounted.source / "file").write_text(str(number))
            ticket = watched.replication.request_point(consistent=True)
            assert ticket.reached.wait(WAIT)
            assert ticket.point is not None
            assert ticket.point.kind is EpochKind.CRASH
            assert (mounted.target / "file").read_text() == str(number)


def test_what_cannot_be_frozen_has_fuzzy_epochs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.source = Path("/dev/shm") / f"dtesx-test-{os.getpid()}"
    site.source.mkdir()
    try:
        with replicating(site, monkeypatch, lambda _replica: None) as watched:
            assert watched.replication is not None
            ticket = watched.replication.request_point(consistent=True)
            assert ticket.reached.wait(WAIT)
            assert ticket.point is not None
            assert ticket.point.kind is EpochKind.FUZZY
        assert "cannot be frozen" in watched.states[-1].fuzzy
    finally:
        shutil.rmtree(site.source)
