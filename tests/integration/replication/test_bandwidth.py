"""A bandwidth limit, as the loopback interface sees it: no second carries more."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dtesx.model.mirror import LinkOptions

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


def test_a_link_that_stood_still_does_not_catch_up(bare_site: Site, much: int) -> None:
    site = bare_site
    with site.receiver(), Cut(site.port, stall=(1 << 20, 1.5)) as link, Timeline(link.port) as timeline:
        site.mirror(port=link.port, link=LinkOptions(bandwidth=RATE))
    assert sum(packet.bytes for packet in timeline.sent) >= much
    assert 0 < timeline.most(SECOND) <= RATE
    assert site.differences() == ""
