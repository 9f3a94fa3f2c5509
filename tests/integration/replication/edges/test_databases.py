"""Databases under load: at every epoch of one moment the replica is one that they start from."""

from __future__ import annotations

import queue
import shutil
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from dtesx.base.run import run
from tests.integration.replication.conftest import Site

from .conftest import BRIEFLY
from .databases import DATABASES, Look
from .watching import LONG, replicating, report

pytestmark = pytest.mark.integration

_WAITING = 4


class Copies:
    """Copies of a replica at its epochs of one moment, each looked at and forgotten."""

    def __init__(self, place: Path, look: Look) -> None:
        self._place = place
        self._look = look
        self._made: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self.counts: list[int] = []

    def keep(self, replica: Path) -> None:
        """Keep a copy to look at later, if there are not too many already."""
        if self._made.qsize() < _WAITING:
            copy = self._place / uuid.uuid4().hex
            run(["cp", "-a", str(replica), str(copy)])
            self._made.put(copy)

    def look(self) -> int:
        """Look at the next one if there is one; returns how many have been looked at."""
        with suppress(queue.Empty):
            copy = self._made.get_nowait()
            self.counts.append(self._look(copy))
            shutil.rmtree(copy)
        return len(self.counts)


def _survives(site: Site, monkeypatch: pytest.MonkeyPatch, place: Path, database: str) -> None:
    with ExitStack() as stack:
        look = stack.enter_context(DATABASES[database](site.source))
        copies = Copies(place, look)
        stack.enter_context(site.receiver())
        watched = stack.enter_context(replicating(site, monkeypatch, copies.keep))
        watched.for_a_while(copies.look)
        report(watched, copies.look())
    assert copies.counts == sorted(copies.counts)
    assert copies.counts[-1] > copies.counts[0]


def test_sqlite(mounted: Site, monkeypatch: pytest.MonkeyPatch, open_place: Path) -> None:
    _survives(mounted, monkeypatch, open_place, "sqlite")


@BRIEFLY
def test_postgresql(mounted: Site, monkeypatch: pytest.MonkeyPatch, open_place: Path) -> None:
    _survives(mounted, monkeypatch, open_place, "postgresql")


@pytest.mark.skipif(not LONG, reason="takes a server more, and half a minute")
def test_mariadb(mounted: Site, monkeypatch: pytest.MonkeyPatch, open_place: Path) -> None:
    _survives(mounted, monkeypatch, open_place, "mariadb")
