"""Trees deeper than a path may be long and than a process may have files open."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.base.run import run

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration

_LEVELS = 1500


@contextmanager
def _bottom(root: Path, *, make: bool) -> Iterator[int]:
    fd = os.open(root, os.O_RDONLY)
    for _ in range(_LEVELS):
        if make:
            os.mkdir("level", dir_fd=fd)
        below = os.open("level", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    try:
        yield fd
    finally:
        os.close(fd)


def _put(directory: int, name: str, content: bytes) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640, dir_fd=directory)
    os.write(fd, content)
    os.setxattr(fd, "user.where", b"deep")
    os.close(fd)


def _get(directory: int, name: str) -> tuple[bytes, bytes]:
    fd = os.open(name, os.O_RDONLY, dir_fd=directory)
    try:
        return os.read(fd, 1 << 20), os.getxattr(fd, "user.where")
    finally:
        os.close(fd)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (800, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_descriptors")
def test_a_deep_tree_is_mirrored_changed_and_removed(site: Site) -> None:
    with _bottom(site.source, make=True) as source:
        _put(source, "small", b"small")
        _put(source, "large", bytes(300_000))
        os.link("small", "linked", src_dir_fd=source, dst_dir_fd=source)
        assert site.mirror().problems == ()
        with _bottom(site.target, make=False) as target:
            assert _get(target, "small") == (b"small", b"deep")
            assert _get(target, "large") == (bytes(300_000), b"deep")
            assert os.stat("linked", dir_fd=target).st_nlink == 2
            _put(source, "large", b"now small")
            os.unlink("linked", dir_fd=source)
            assert site.mirror().problems == ()
            assert _get(target, "large") == (b"now small", b"deep")
            assert sorted(os.listdir(target)) == ["large", "small"]
    assert site.mirror().files_sent == 0
    run(["rm", "-rf", str(site.source / "level")])
    stats = site.mirror(rebind=True)
    assert (stats.problems, stats.orphans_removed) == ((), _LEVELS + 2)
    assert list(site.target.iterdir()) == []
