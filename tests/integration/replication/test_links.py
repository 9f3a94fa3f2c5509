"""Links that break, several at once, compressed, held back: the mirror just goes on."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.apply.outlook import Outlook
from dtesx.base.errors import ConnectionFailed, DtesxError
from dtesx.base.retry import Backoff, wait_until
from dtesx.model.mirror import Compression, LinkOptions
from dtesx.model.request import MirrorPhase
from dtesx.model.target import WorkerPhase
from dtesx.replication import telling
from dtesx.replication.answering import Answering
from dtesx.wire.messages import Answer

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration

PATIENT = Backoff(first=0.01, cap=0.05, tries=30)


class Links:
    """Forwards connections to a port, each after a number of bytes of its own cut off at once.

    ``cuts`` are used up one after the other; afterwards connections hold.
    """

    def __init__(self, port: int, cuts: list[int]) -> None:
        self._target = port
        self._cuts = cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.passed = 0

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the test is over
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self.connections += 1
            budget = [self._cuts.pop(0)] if self._cuts else None
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(*ends, budget), daemon=True).start()

    def _forward(self, one: socket.socket, other: socket.socket, budget: list[int] | None) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                self.passed += len(data)
                if budget is not None:
                    budget[0] -= len(data)
                    if budget[0] <= 0:
                        break
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def links(port: int, cuts: list[int]) -> Iterator[Links]:
    proxy = Links(port, cuts)
    thread = threading.Thread(target=proxy.run)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(10)


def fill(root: Path, files: int, size: int) -> None:
    for number in range(files):
        directory = root / f"d{number % 7}"
        directory.mkdir(exist_ok=True)
        (directory / f"f{number}").write_bytes(os.urandom(size))


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever the target begins to tell of a root."""
    seen: list[int] = []

    class Counted(Answering):
        def __init__(
            self,
            fd: int,
            root: int,
            problem: Callable[[bytes, str], None],
            catalogue: Path | None,
            *,
            outlook: Outlook | None,
            sums: bool,
        ) -> None:
            seen.append(root)
            super().__init__(fd, root, problem, catalogue, outlook=outlook, sums=sums)

    monkeypatch.setattr(telling, "Answering", Counted)
    return seen


@pytest.mark.parametrize("streams", [1, 3])
def test_a_mirror_goes_on_where_it_was_when_links_break(
    site: Site, rich: Path, listings: list[int], streams: int
) -> None:
    fill(site.source, 300, 20_000)
    fill(site.source, 3, 5 << 20)
    cuts = [6_000, 300_000, 900_000, 2_500_000, 1_000_000, 700_000]
    with links(site.port, cuts) as proxy:
        stats = site.mirror(port=proxy.port, backoff=PATIENT, link=LinkOptions(streams=streams))
        assert proxy.connections >= len(cuts) + 1
    assert listings == [0]
    assert site.differences() == ""
    assert stats.problems == ()
    assert stats.files_sent == stats.files_total
    assert stats.bytes_sent + stats.bytes_skipped == stats.bytes_total


@pytest.mark.parametrize("seed", range(4))
def test_any_breaks_of_any_links(site: Site, listings: list[int], seed: int) -> None:
    dice = random.Random(seed)
    fill(site.source, 150, 60_000)
    site.mirror()
    listings.clear()
    for path in sorted(site.source.rglob("f*"))[::3]:
        path.write_bytes(os.urandom(dice.randrange(200_000)))
    fill(site.target / "d0", 40, 10)
    cuts = [dice.randrange(5_000, 800_000) for _ in range(25)]
    streams = dice.randint(1, 4)
    with links(site.port, cuts) as proxy:
        stats = site.mirror(port=proxy.port, backoff=PATIENT, link=LinkOptions(streams=streams))
    assert listings == [0]
    assert stats.files_sent == 50
    assert stats.orphans_removed == 47
    assert site.differences() == ""


def test_the_target_waits_for_its_source_and_says_so(site: Site, listings: list[int]) -> None:
    fill(site.source, 60, 100_000)
    waited: list[bool] = []

    def on_progress(phase: MirrorPhase, stats: object) -> None:
        if phase is MirrorPhase.CONNECTING and stats.bytes_sent and not waited:  # type: ignore[attr-defined]
            waited.append(
                wait_until(
                    lambda: site.reports[-1][0] is WorkerPhase.LISTENING and "waiting" in site.reports[-1][2],
                    timeout=10,
                )
            )

    with links(site.port, [3_000_000]) as proxy:
        site.mirror(port=proxy.port, backoff=Backoff(first=1, cap=1, tries=5), on_progress=on_progress)
    assert waited == [True]
    assert listings == [0]


def test_a_source_that_gives_up_makes_room_for_the_next(site: Site, rich: Path) -> None:
    fill(site.source, 60, 100_000)
    with links(site.port, [2_000_000, *[0] * 9]) as proxy, pytest.raises(ConnectionFailed, match="for good"):
        site.mirror(port=proxy.port, backoff=Backoff(first=0.01, cap=0.01, tries=3))
    site.mirror()
    assert site.differences() == ""


@pytest.mark.parametrize("compress", ["auto", "1", "19"])
def test_compressed_frames_take_less_of_the_wire(site: Site, rich: Path, compress: str) -> None:
    (site.source / "text").write_bytes(b"all work and no play " * 200_000)
    (site.source / "noise").write_bytes(os.urandom(1 << 20))
    stats = site.mirror(link=LinkOptions(compress=Compression.parse(compress)))
    assert site.differences() == ""
    assert stats.bytes_wire < stats.bytes_sent / 1.5


def test_a_defect_of_the_target_is_told_and_not_tried_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_answering: Answering) -> Answer:
        raise KeyError("defect")

    monkeypatch.setattr(Answering, "answer", broken)
    with pytest.raises(DtesxError, match="internal error") as caught:
        site.mirror()
    assert "log" in caught.value.hint


def test_a_limited_link_delivers_everything(site: Site, rich: Path) -> None:
    site.mirror(link=LinkOptions(bandwidth=30 << 20, streams=2))
    assert site.differences() == ""
