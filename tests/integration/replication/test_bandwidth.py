"""A bandwidth limit, as the loopback interface sees it: no second carries more."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from dtesx.model.mirror import LinkOptions
from dtesx.model.request import MirrorPhase
from dtesx.model.stats import MirrorStats
from dtesx.model.transmission import Transmission
from dtesx.replication.control import MirrorControl

from .cutting import Cut
from .timeline import Timeline

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration

RATE = 4_000_000
SECOND = 10**9


@pytest.fixture
def much(bare_site: Site) -> int:
    for number in range(3):
        (bare_site.source / f"large{number}").write_bytes(os.urandom(3_000_000))
    return 9_000_000


@pytest.mark.parametrize("streams", [1, 3])
def test_no_second_carries_more_than_the_limit(site: Site, much: int, streams: int) -> None:
    with Timeline(site.port) as timeline:
        site.mirror(link=LinkOptions(bandwidth=RATE, streams=streams))
    assert much <= sum(packet.bytes for packet in timeline.sent) < 1.1 * much
    assert 0 < timeline.most(SECOND) <= RATE
    assert site.differences() == ""


@pytest.mark.parametrize("streams", [1, 2])
def test_what_makes_the_connections_counts(site: Site, streams: int) -> None:
    rate = 8192
    (site.source / "file").write_bytes(os.urandom(20_000))
    with Timeline(site.port) as timeline:
        site.mirror(link=LinkOptions(bandwidth=rate, streams=streams))
    assert sum(packet.bytes for packet in timeline.sent) > 20_000
    assert 0 < timeline.most(SECOND) <= rate
    assert site.differences() == ""


@pytest.mark.parametrize("streams", [1, 3])
def test_a_link_that_stood_still_does_not_catch_up(bare_site: Site, much: int, streams: int) -> None:
    site, options = bare_site, LinkOptions(bandwidth=RATE, streams=streams)
    with site.receiver(), Cut(site.port, stall=(1 << 20, 1.5)) as link, Timeline(link.port) as timeline:
        site.mirror(port=link.port, link=options)
    assert sum(packet.bytes for packet in timeline.sent) >= much
    assert 0 < timeline.most(SECOND) <= RATE
    assert site.differences() == ""


FAST = [LinkOptions(bandwidth=5 * RATE), LinkOptions(plan=Transmission(bandwidth=5 * RATE))]


@pytest.mark.parametrize("link", FAST, ids=["link", "plan"])
def test_a_limit_that_is_there_from_the_start_holds_in_place_of_others(
    site: Site, much: int, link: LinkOptions
) -> None:
    with Timeline(site.port) as timeline:
        site.mirror(link=link, control=MirrorControl(bandwidth=RATE))
    assert sum(packet.bytes for packet in timeline.sent) >= much
    assert 0 < timeline.most(SECOND) <= RATE


@pytest.mark.parametrize("link", FAST, ids=["link", "plan"])
def test_a_limit_that_is_set_while_data_travel_holds_from_then_on(
    site: Site, much: int, link: LinkOptions
) -> None:
    control = MirrorControl(bandwidth=2 * RATE)
    since = 0

    def slower(_: MirrorPhase, stats: MirrorStats) -> None:
        nonlocal since
        if stats.bytes_wire > 1_000_000 and not since:
            control.bandwidth = RATE
            since = time.time_ns() + SECOND // 4  # what the kernel has taken already leaves until then

    with Timeline(site.port) as timeline:
        site.mirror(link=link, control=control, on_progress=slower)
    assert since
    assert 0 < timeline.most(SECOND, since=since) <= RATE
    assert site.differences() == ""
