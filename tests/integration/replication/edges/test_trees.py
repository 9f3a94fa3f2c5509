"""Whatever can be in a tree and can happen to it arrives by epochs of one moment alone."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack

import pytest

from dtesx.base.run import run
from tests.integration.replication.conftest import Site
from tests.integration.replication.vandal import Vandal

from .watching import SECONDS, Watched, replicating, report

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
