"""A whole lab for a module of tests, with its server and vCenter already known to the appliance."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.road.walk import Road, road_in


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    with road_in(tmp_path_factory.mktemp("lab")) as road:
        yield road
