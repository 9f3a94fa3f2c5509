"""Files that look the same and are not: of the same size and times, as programs make them that set times."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from dtesx.capture import capture as captured
from dtesx.model.changes import Changes, Touch
from dtesx.replication.continuous import following, pending
from dtesx.replication.continuous.consistent import Capture

from .calls import exchange
from .conftest import Site
from .test_replicating import difference, replicating, settled

pytestmark = pytest.mark.integration

LARGE = 400_000


@dataclass
class Unmoved:
    """Tells of no move, as a capture that cannot tell for certain."""

    capture: Capture

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        changes = self.capture.drain(still=still)
        for some in changes.values():
            some.moved = []
        return changes


@dataclass
class Hasty:
    """Has somebody act as soon as changes of a file were told, before anybody can look at it."""

    capture: Capture
    name: bytes
    action: Callable[[], object]
    done: bool = False

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        changes = self.capture.drain(still=still)
        for some in changes.values():
            if (
                not self.done
                and not still
                and Touch.CONTENT in some.names.get(b"", {}).get(self.name, Touch(0))
            ):
                self.done = True
                self.action()
        return changes


def twins(*paths: Path, size: int) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
        _same_times(path)


def _same_times(path: Path) -> None:
    os.utime(path, ns=(10**18, 10**18))


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("names", [("one", "other"), ("dir/one", "other"), ("dir/file", "two/file")])
@pytest.mark.parametrize("told", [False, True])
def test_what_takes_the_place_of_a_twin_is_sent(
    site: Site, size: int, names: tuple[str, str], told: bool
) -> None:
    one, other = (site.source / name for name in names)
    twins(one, other, size=size)
    through: Callable[[Capture], Capture] = (lambda capture: capture) if told else Unmoved
    with site.receiver(), replicating(site, through=through) as running:
        running.caught_up()
        if one.name == other.name:
            one, other = one.parent, other.parent
        exchange(os.fsencode(one), os.fsencode(other))
        running.caught_up()
        settled(site)
        assert difference(site, "--checksum") == b""


@pytest.mark.parametrize("size", [10, LARGE])
def test_directories_of_twins_that_change_places_while_nothing_runs(
    site: Site, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "_WRITE_CALL", 0.0)
    one, other = site.source / "one", site.source / "other"
    twins(one / "sub/file", other / "sub/file", size=size)
    twins(one / "file", other / "file", size=size)
    for directory in (one / "sub", other / "sub", one, other):
        _same_times(directory)
    with site.receiver():
        with replicating(site) as running:
            running.caught_up()
            assert difference(site, "--checksum") == b""
        exchange(os.fsencode(one), os.fsencode(other))
        with replicating(site) as running:
            running.caught_up()
    assert difference(site, "--checksum") == b""


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("ranges", [False, True])
def test_what_moved_before_it_was_looked_at_is_sent(
    site: Site, size: int, ranges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone from where it was, so the target cannot move it; and where it is now, there is its twin."""
    monkeypatch.setattr(following, "Capture", partial(captured.Capture, ranges=ranges))
    one, other = site.source / "one", site.source / "other"
    twins(one, other, size=size)

    def through(capture: Capture) -> Capture:
        return Hasty(capture, b"one", lambda: one.replace(other))

    with site.receiver(), replicating(site, through=through) as running:
        running.caught_up()
        one.write_bytes(os.urandom(size))
        _same_times(one)
        running.until(lambda _state: not one.exists())
        running.caught_up()
        settled(site)
        assert difference(site, "--checksum") == b""
