"""A replication that is started again: what its catalogue knows is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtesx.mirror import reading, state
from dtesx.mirror.reading import Reading
from dtesx.mirror.scan import Visit

from .conftest import Site
from .test_replicating import difference, replicating

pytestmark = pytest.mark.integration


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The directories of the source that are read name by name; all that changed did so long ago."""
    now, read, paths = state.time.time_ns, reading.Reader._read, []  # type: ignore[attr-defined]

    def noted(self: reading.Reader, visit: Visit) -> Reading:
        if self._catalogue is not None:  # the target has none
            paths.append(visit.path)
        return read(self, visit)

    monkeypatch.setattr("dtesx.mirror.state.time.time_ns", lambda: now() + 60 * 10**9)
    monkeypatch.setattr(reading.Reader, "_read", noted)
    return paths


@pytest.mark.parametrize("scans", [False, True])
def test_only_directories_that_changed_are_read(
    bare_site: Site, tmp_path: Path, read: list[bytes], scans: bool
) -> None:
    for number in range(20):
        (bare_site.source / f"d{number}").mkdir()
        (bare_site.source / f"d{number}/file").write_bytes(b"content")
    catalogue = tmp_path / "catalogue"
    with bare_site.receiver():
        with replicating(bare_site, catalogue=catalogue, scans=scans) as running:
            running.caught_up()
        assert len(set(read)) == 21
        (bare_site.source / "d3/file").write_bytes(b"changed")
        os.rename(bare_site.source / "d4/file", bare_site.source / "d5/renamed")
        read.clear()
        with replicating(bare_site, catalogue=catalogue, scans=scans) as running:
            running.caught_up()
            assert difference(bare_site, "--checksum") == b""
    assert set(read) == {b"", b"d3", b"d4", b"d5"}
