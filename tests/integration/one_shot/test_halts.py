"""A mirror that would carry an accident to the replica halts instead."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


@contextmanager
def tmpfs(where: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(where)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(where)], check=True)


@pytest.fixture
def mirrored(site: Site) -> Site:
    done = site.paired("mirror", site.source, site.url())
    assert done.returncode == 0, done.stderr
    return site


def halted(site: Site, state: str, source: Path | None = None) -> None:
    """The next mirror halts in ``state`` and has changed nothing."""
    before = subprocess.run(["ls", "-lR", str(site.data)], capture_output=True, check=True).stdout
    done = site.dtesx("mirror", source or site.source, site.url(), "--json")
    assert (json.loads(done.stdout)["error"]["code"], done.returncode) == (state, 10)
    assert "--rebind" in json.loads(done.stdout)["error"]["hint"]
    after = subprocess.run(["ls", "-lR", str(site.data)], capture_output=True, check=True).stdout
    assert after == before


def goes_on(site: Site, source: Path | None = None) -> None:
    """``--rebind`` is needed once."""
    for options in (("--rebind",), ()):
        done = site.dtesx("mirror", source or site.source, site.url(), *options)
        assert done.returncode == 0, done.stderr


def test_a_root_that_is_gone(mirrored: Site) -> None:
    mirrored.source.rename(mirrored.root / "renamed")
    done = mirrored.dtesx("mirror", mirrored.source, mirrored.url(), "--json")
    assert (json.loads(done.stdout)["error"]["code"], done.returncode) == ("root-missing", 5)
    assert (mirrored.data / "www" / "file").exists()


def test_a_root_at_another_path(mirrored: Site) -> None:
    renamed = mirrored.source.rename(mirrored.root / "renamed")
    halted(mirrored, "root-renamed", renamed)
    goes_on(mirrored, renamed)


def test_a_second_tree_does_not_get_the_place_of_the_first(mirrored: Site) -> None:
    halted(mirrored, "root-renamed", mirrored.source / "sub")


def test_a_root_that_was_replaced(mirrored: Site) -> None:
    mirrored.source.rename(mirrored.root / "renamed")
    shutil.copytree(mirrored.root / "renamed", mirrored.source, symlinks=True)
    halted(mirrored, "root-replaced")
    goes_on(mirrored)
    assert mirrored.differences() == ""


def test_a_root_that_is_empty(mirrored: Site) -> None:
    for path in mirrored.source.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    halted(mirrored, "root-empty")
    goes_on(mirrored)
    assert not list((mirrored.data / "www").iterdir())


def test_a_replica_of_other_making_is_not_emptied_either(site: Site) -> None:
    empty = site.root / "empty"
    empty.mkdir()
    (site.data / "www").mkdir()
    (site.data / "www" / "precious").touch()
    done = site.paired("mirror", empty, site.url())
    assert done.returncode == 10
    assert (site.data / "www" / "precious").exists()


def test_a_root_that_is_not_mounted(site: Site) -> None:
    with tmpfs(site.source):
        (site.source / "file").write_bytes(b"on the file system")
        assert site.paired("mirror", site.source, site.url()).returncode == 0
    halted(site, "root-elsewhere")
    with tmpfs(site.source):
        (site.source / "file").write_bytes(b"on another one")
        halted(site, "root-elsewhere")
    goes_on(site)


def test_a_file_system_below_that_is_not_mounted(site: Site) -> None:
    disk = site.source / "sub" / "disk"
    disk.mkdir()
    rules = ("--include", ".", "--include", "sub/disk")
    with tmpfs(disk):
        (disk / "file").touch()
        for _ in range(2):
            assert site.paired("mirror", site.source, site.url(), *rules).returncode == 0
    assert (site.data / "www" / "sub" / "disk" / "file").exists()
    done = site.dtesx("mirror", site.source, site.url(), *rules)
    assert done.returncode == 10
    assert "sub/disk below" in done.stderr
    assert (site.data / "www" / "sub" / "disk" / "file").exists()
    assert site.dtesx("mirror", site.source, site.url(), *rules, "--rebind").returncode == 0
    assert not (site.data / "www" / "sub" / "disk" / "file").exists()


def test_another_source_cannot_take_a_replica_over(mirrored: Site) -> None:
    file = mirrored.state / "roots" / "www.json"
    assert file.stat().st_mode & 0o777 == 0o600
    for options in ((), ("--rebind",)):
        done = mirrored.paired("mirror", mirrored.source, mirrored.url(), *options, client="other")
        assert done.returncode == 6
        assert str(file) in done.stderr
    assert mirrored.paired("mirror", mirrored.source, mirrored.url("mine"), client="other").returncode == 0
    file.unlink()
    assert mirrored.dtesx("mirror", mirrored.source, mirrored.url(), client="other").returncode == 0
    assert mirrored.dtesx("mirror", mirrored.source, mirrored.url()).returncode == 6


def test_the_binding_outlives_the_target(mirrored: Site) -> None:
    assert mirrored.end() == 0
    mirrored.start()
    halted(mirrored, "root-renamed", mirrored.source / "sub")


def test_a_root_whose_name_is_no_text(site: Site) -> None:
    source = site.source.rename(site.root / "odd-\udcff")
    for _ in range(2):
        done = site.paired("mirror", source, site.url())
        assert done.returncode == 0, done.stderr
    halted(site, "root-renamed", source / "sub")
