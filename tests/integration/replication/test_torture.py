"""Whatever is done to a source, whatever happens to it, its target and the link: the replica equals it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .torture import torture

pytestmark = pytest.mark.integration

_LONG = "DTESX_TORTURE" in os.environ
_PLACES = [("ext4", "A"), ("ext4", "C"), ("xfs", "A"), ("xfs", "B"), ("btrfs", "B")]
if _LONG:
    _PLACES += [("ext4", "B"), ("btrfs", "A")]
_ROUNDS = 60 if _LONG else 3
_SEEDS = range(5 if _LONG else 1)


@pytest.mark.parametrize("seed", _SEEDS)
@pytest.mark.parametrize(("kind", "rung"), _PLACES)
def test_the_replica_equals_its_source_in_the_end(kind: str, rung: str, seed: int, tmp_path: Path) -> None:
    number = seed * len(_PLACES) + _PLACES.index((kind, rung))
    status, told = torture(tmp_path, kind, rung, number, _ROUNDS)
    print(told)
    assert status == 0, told
