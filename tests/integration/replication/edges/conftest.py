"""Sources that are file systems of their own, and can be frozen."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.base.run import run
from tests.integration.replication.conftest import Site

from .watching import LONG

_MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}

BRIEFLY = pytest.mark.parametrize("mounted", list(_MAKE) if LONG else ["ext4"], indirect=True)
"""For a test that costs much: on one kind of file system, unless there is time."""


@pytest.fixture(params=list(_MAKE))
def mounted(bare_site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose source is a file system of its own."""
    with file_system(request.param, tmp_path / "source.img", bare_site.source):
        yield bare_site


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that also servers that do not run as root can reach: pytest's they cannot."""
    with tempfile.TemporaryDirectory(prefix="dtesx-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def file_system(kind: str, image: Path, place: Path) -> Iterator[None]:
    """A new file system of that kind, mounted at ``place``."""
    with image.open("wb") as file:
        file.truncate(1 << 30)
    run([*_MAKE[kind], str(image)])
    run(["mount", "-o", "loop", str(image), str(place)])
    try:
        yield
    finally:
        gc.collect()  # a mirror that was stopped in the middle has directories open until then
        run(["umount", str(place)])
