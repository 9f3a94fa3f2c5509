"""Labs for tests: what is slow to make comes from the checkout's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dtesx.lab import leftovers
from dtesx.lab.debian import BaseTree
from dtesx.lab.network import Network, lab_network
from dtesx.lab.tree import base_tree

CACHE = Path(__file__).parents[3] / ".cache"


@pytest.fixture(scope="session")
def tree() -> BaseTree:
    return base_tree(CACHE, print)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with lab_network(leftovers.lab_identity(tmp_path)) as network:
        yield network
