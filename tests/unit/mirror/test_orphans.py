from __future__ import annotations

import stat

import pytest

from dtesx.mirror.orphans import OrphanRule
from dtesx.model.mirror import OrphanAction, OrphanPolicy
from dtesx.wire.items import Item
from dtesx.wire.operations import Remove

NOW = 1_000_000_000_000
FILE = Item(b"f", stat.S_IFREG | 0o644, 0, 0, NOW - 20_000_000_000)
DIRECTORY = Item(b"d", stat.S_IFDIR | 0o755, 0, 0, NOW)


def rule(action: OrphanAction, older_than: float = 0.0, move_to: str = "") -> OrphanRule:
    return OrphanRule(OrphanPolicy(action, older_than, move_to), NOW)


def test_kept_orphans_ask_for_nothing() -> None:
    assert rule(OrphanAction.KEEP).removal(FILE) is None
    assert rule(OrphanAction.KEEP).removal(DIRECTORY) is None


def test_a_directory_in_the_way_of_kept_orphans_goes_only_without_files() -> None:
    assert rule(OrphanAction.KEEP).make_way(DIRECTORY) == Remove(b"d", -(1 << 63))
    assert rule(OrphanAction.DELETE).make_way(DIRECTORY) == Remove(b"d")


def test_removal() -> None:
    assert rule(OrphanAction.DELETE).removal(FILE) == Remove(b"f")
    assert rule(OrphanAction.MOVE, 0, "attic").removal(FILE) == Remove(b"f", None, b"attic")


@pytest.mark.parametrize(("age", "goes"), [(19.0, True), (20.0, False), (21.0, False)])
def test_young_files_are_spared(age: float, goes: bool) -> None:
    cutoff = NOW - round(age * 1e9)
    assert rule(OrphanAction.DELETE, age).removal(FILE) == (Remove(b"f", cutoff) if goes else None)


def test_a_directory_is_looked_into_however_young() -> None:
    assert rule(OrphanAction.DELETE, 5).removal(DIRECTORY) == Remove(b"d", NOW - 5_000_000_000)
