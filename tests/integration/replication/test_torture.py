"""Whatever is done to a source, whatever happens to it, its target and the link: the replica equals it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .torture import torture

pytestmark = pytest.mark.integration

_PLACES = [(kind, rung) for kind in ("ext4", "xfs", "btrfs") for rung in "AB"]
_PLACES.append(("ext4", "C"))
_LONG = "DTESX_TORTURE" in os.environ
_ROUNDS = 60 if _LONG else 3
_SEEDS = range(5 if _LONG else 1)


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize(("kind", "rung"), _PLACES)
def test_the_replica_equals_its_source_in_the_end(kind: str, rung: str, seed: int, tmp_path: Path) -> None:
    number = seed * len(_PLACES) + _PLACES.index((kind, rung))
    status, told = torture(tmp_path, kind, rung, number, _ROUNDS)
    print(told)
    assert status == 0, told
