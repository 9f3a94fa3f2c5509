"""The same halts for jobs, whose roots are file systems, and while a mirror runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.base.errors import RootEmpty, RootMissing, RootReplaced
from dtesx.base.run import run
from dtesx.model.mirror import LinkOptions
from dtesx.model.request import MirrorPhase
from dtesx.model.stats import MirrorStats
from dtesx.volumes.views import open_view

from .conftest import Site

pytestmark = pytest.mark.integration


def contents(path: Path) -> list[Path]:
    return sorted(path.rglob("*"))


def test_an_empty_root_halts_before_any_other_is_touched(bare_site: Site, tmp_path: Path) -> None:
    site = bare_site
    sources = {"/": tmp_path / "s0", "/srv": tmp_path / "s1"}
    targets = {"/": tmp_path / "t0", "/srv": tmp_path / "t1"}
    for directory in (*sources.values(), *targets.values()):
        directory.mkdir()
    for source in sources.values():
        (source / "file").write_bytes(b"x")

    @contextmanager
    def view(mount_point: str) -> Iterator[int]:
        fd = os.open(sources[mount_point], os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    site.view = view  # type: ignore[method-assign, assignment]
    with site.receiver(targets):
        site.mirror(roots=("/", "/srv"))
        (sources["/"] / "new").touch()
        (sources["/srv"] / "file").unlink()
        with pytest.raises(RootEmpty):
            site.mirror(roots=("/", "/srv"))
        assert not (targets["/"] / "new").exists()
        assert (targets["/srv"] / "file").exists()
        site.mirror(roots=("/", "/srv"), rebind=True)
        assert (targets["/"] / "new").exists()
        assert not (targets["/srv"] / "file").exists()
        site.mirror(roots=("/", "/srv"))


def test_a_root_that_is_replaced_during_a_mirror(site: Site) -> None:
    (site.source / "file").write_bytes(os.urandom(3 << 20))

    def replace(_phase: MirrorPhase, stats: MirrorStats) -> None:
        if stats.bytes_sent and not (site.source.parent / "renamed").exists():
            site.source.rename(site.source.parent / "renamed")
            site.source.mkdir()

    with pytest.raises(RootReplaced):
        site.mirror(on_progress=replace, link=LinkOptions(bandwidth=2 << 20))
    assert not list(site.source.iterdir())


def test_a_file_system_that_is_unmounted_lazily_during_a_mirror(bare_site: Site) -> None:
    site = bare_site
    site.view = open_view  # type: ignore[method-assign, assignment]
    run(["mount", "-t", "tmpfs", "tmpfs", str(site.source)])
    mounted = True

    def unmount(phase: MirrorPhase, _stats: MirrorStats) -> None:
        nonlocal mounted
        if phase is MirrorPhase.RUNNING and mounted:
            run(["umount", "--lazy", str(site.source)])
            mounted = False

    try:
        (site.source / "file").write_bytes(b"x")
        with site.receiver({str(site.source): site.target}), pytest.raises(RootReplaced):
            site.mirror(root=str(site.source), on_progress=unmount)
    finally:
        if mounted:
            run(["umount", str(site.source)])


def test_a_mount_point_that_is_gone(site: Site, tmp_path: Path) -> None:
    site.view = open_view  # type: ignore[method-assign, assignment]
    with pytest.raises(RootMissing):
        site.mirror(root=str(tmp_path / "nowhere"))
