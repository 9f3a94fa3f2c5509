"""Whatever fails while a database is written to: every epoch of one moment is one that it starts from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .databases import DATABASES
from .mishaps import mishaps
from .watching import LONG, SECONDS

pytestmark = pytest.mark.integration

_PLACES = [(database, kind) for database in DATABASES for kind in ("ext4", "xfs", "btrfs")]
_SEED = int(os.environ.get("DTESX_EDGE_SEED", "1"))


@pytest.mark.parametrize(("database", "kind"), _PLACES if LONG else [("sqlite", "ext4")])
def test_what_fails_spoils_no_epoch_of_one_moment(database: str, kind: str, open_place: Path) -> None:
    status, told = mishaps(open_place, kind, database, _SEED, max(SECONDS, 6.0))
    print(told)
    assert status == 0, told
