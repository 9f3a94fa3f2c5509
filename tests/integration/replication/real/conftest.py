"""What every mirror of something real is judged by."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.replication.conftest import Site


@pytest.fixture
def real(site: Site, tmp_path: Path) -> Site:
    """A site whose both ends keep catalogues, as a server's do."""
    site.catalogues = tmp_path / "catalogues"
    return site


def prove(site: Site, *options: str) -> None:
    """Mirror; rsync (with ``options``) then finds nothing to do, and neither does a second mirror."""
    assert site.mirror().problems == ()
    assert site.differences(*options) == ""
    again = site.mirror()
    assert (again.files_sent, again.bytes_sent, again.orphans_removed, again.problems) == (0, 0, 0, ())
    assert again.files_skipped == again.files_total > 0
    assert site.differences(*options) == ""
