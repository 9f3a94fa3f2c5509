"""Tiers: unit tests need nothing; integration and vm tests need root and say so when they lack it."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# How long a machine takes for an example says how much else it has to do.
settings.register_profile("dtesx", deadline=None)
settings.load_profile("dtesx")

_NEEDS_ROOT = ("integration", "vm")

# A shell has what it runs in the background ignore SIGINT, and so would the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A test that configures logging does not leave its closed stream to the others."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cheap tiers first; without root the others are skipped with the reason."""
    for item in items:
        if os.geteuid() != 0 and any(item.get_closest_marker(name) for name in _NEEDS_ROOT):
            item.add_marker(pytest.mark.skip(reason="needs root (loop devices, namespaces, mounts)"))
    items.sort(key=_tier)


def _tier(item: pytest.Item) -> int:
    if item.get_closest_marker("vm"):
        return 2
    return 1 if item.get_closest_marker("integration") else 0
