"""A source that ended uncleanly: what it goes on with, and what it reads for that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtesx.base.run import run

from .conftest import Site, ended
from .opens import watched
from .test_replicate import replicate, status

pytestmark = pytest.mark.integration

DIRECTORIES, FILES = 60, 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    image = tmp_path / "source.img"
    with image.open("wb") as file:
        file.truncate(128 << 20)
    run(["mkfs.ext4", "-q", str(image)])
    return image


def mount(image: Path, where: Path) -> None:
    run(["mount", "-o", "loop", str(image), str(where)])


def make_old(image: Path, names: list[Path]) -> None:
    """Have it that nothing changed for long: what changed lately may have changed again unseen."""
    orders = image.with_suffix(".orders")
    orders.write_text("".join(f"set_inode_field /{name} ctime 20260101\n" for name in names))
    run(["debugfs", "-w", "-f", str(orders), str(image)])


@pytest.fixture
def disk(tmp_path: Path, image: Path) -> Iterator[Site]:
    """A site with a source that is a file system of its own, and a target that listens."""
    site = Site(tmp_path)
    site.source.mkdir()
    mount(image, site.source)
    for directory in range(DIRECTORIES):
        (site.source / f"d{directory}").mkdir()
        for file in range(FILES):
            (site.source / f"d{directory}/f{file}").write_bytes(os.urandom(5000))
    names = [path.relative_to(site.source) for path in (*site.source.glob("d*"), *site.source.glob("d*/f*"))]
    run(["umount", str(site.source)])
    make_old(image, names)
    mount(image, site.source)
    try:
        with ended(site):
            site.start()
            yield site
    finally:
        run(["umount", "--lazy", str(site.source)])


@pytest.mark.parametrize("reboot", [False, True])
def test_only_what_changed_is_read_again(disk: Site, image: Path, reboot: bool) -> None:
    with replicate(disk) as process:
        (disk.source / "d1/f1").write_bytes(b"changed while it was replicated")
        assert disk.dtesx("point").returncode == 0
        process.kill()
        (disk.source / "d2/f2").write_bytes(b"changed while nobody looked")
        process.wait(10)
    if reboot:
        run(["umount", str(disk.source)])
        mount(image, disk.source)
    (disk.source / "d3/f3").unlink()
    os.rename(disk.source / "d4/f4", disk.source / "d5/renamed")
    with watched(disk.source) as opens, replicate(disk):
        sent = status(disk)["sent_files"]
    assert disk.differences("www", "--checksum", "--exclude=/.dtesx-tmp.*", "--exclude=/lost+found") == ""
    assert sent == 3
    # The first one may have been written again right after the last epoch, within one tick of the clock.
    assert {path.name for path in opens.files} == {"f1", "f2", "renamed"}
    assert len(opens.directories) <= 2 * DIRECTORIES
