"""A replica that is replicated further: A to B, and B to C."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dtesx.wire.identity import create

from .conftest import Site
from .test_replicating import Running, difference, replicating
from .vandal import Vandal

pytestmark = pytest.mark.integration


@contextmanager
def chain(first: Site) -> Iterator[tuple[Site, Running, Running]]:
    place = first.target.parent / "further"
    (place / "target").mkdir(parents=True)
    second = Site(first.target, place / "target", create("source"), create("target"))
    with (
        first.receiver(),
        second.receiver(),
        replicating(first) as here,
        replicating(second) as there,
    ):
        yield second, here, there


@pytest.mark.parametrize("seed", range(3))
def test_a_replica_of_a_replica_becomes_equal(bare_site: Site, seed: int) -> None:
    vandal = Vandal(bare_site.source, seed)
    vandal.act(200)
    with chain(bare_site) as (second, here, there):
        for _ in range(4):
            for _ in range(20):
                vandal.act(10)
                time.sleep(0.01)
            here.caught_up()
        time.sleep(1.5)  # until what marked the moves has gone from the first replica
        there.caught_up()
        assert difference(bare_site, "--checksum") == b""
        assert difference(second, "--checksum") == b""
        assert not [each for each in there.states[-1].stats.problems if ".dtesx-tmp." in each.path]
    # What marks its own last moves may still be there.
    left = [path for path in second.target.rglob(".dtesx-tmp.*") if ".moves." not in str(path)]
    assert not left
