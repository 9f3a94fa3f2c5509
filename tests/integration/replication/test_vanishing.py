"""What goes away while it is read was never there: no problem, nothing of it on the target."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dtesx import batch
from dtesx.model.mirror import Compare, MirrorOptions, OrphanAction, OrphanPolicy
from dtesx.wire.items import Item
from dtesx.wire.operations import Put

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("either")]

LARGE = 1 << 20


def fill(root: Path) -> None:
    for name in ("dir/sub/file", "keep/goes/file", "small", "large", "keep/first", "keep/second"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(os.urandom(LARGE if name == "large" else 10))
    os.link(root / "keep" / "first", root / "keep" / "third")


@pytest.fixture
def vanish(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have names removed from the source the moment they are opened, after they were looked at."""
    before = os.open
    doomed: dict[object, Path] = {}

    def disappear(name: object) -> None:
        if name in doomed and (found := doomed.pop(name)).exists():
            shutil.rmtree(found) if found.is_dir() else found.unlink()

    def opening(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None:
            disappear(path)
        return before(path, flags, mode, dir_fd=dir_fd)

    class Reading:
        """The extension, which opens files unseen."""

        def __init__(self, native: batch.Native) -> None:
            self.names, self.look, self.facts = native.names, native.look, native.facts
            self.put, self.room = native.put, native.room
            self._native = native

        def read(self, directory: int, items: list[Item], dense: int, put: type[Put], /) -> Any:
            for item in items:
                disappear(item.name)
            return self._native.read(directory, items, dense, put)

    def add(*names: str) -> None:
        doomed.update({os.path.basename(name).encode(): site.source / name for name in names})
        monkeypatch.setattr(os, "open", opening)
        if batch.native is not None:
            monkeypatch.setattr(batch, "native", Reading(batch.native))

    return add


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("compare", list(Compare))
def test_what_vanishes_is_gone_from_the_target(
    site: Site, vanish: Callable[..., None], mirrored: bool, compare: Compare
) -> None:
    if mirrored:
        fill(site.source)
        site.mirror()
        for path in site.source.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    fill(site.source)
    vanish("dir", "keep/goes", "small", "large", "keep/first")
    stats = site.mirror(options=MirrorOptions(compare))
    assert stats.problems == ()
    assert sorted(path.name for path in site.source.iterdir()) == ["keep"]
    assert site.differences("--omit-dir-times") == ""  # those are of before
    site.mirror(options=MirrorOptions(compare))
    assert site.differences() == ""


def test_what_vanishes_is_an_orphan_like_any_other(site: Site, vanish: Callable[..., None]) -> None:
    fill(site.source)
    site.mirror()
    (site.source / "small").write_bytes(b"changed")
    vanish("dir", "small")
    stats = site.mirror(options=MirrorOptions(orphans=OrphanPolicy(OrphanAction.KEEP)))
    assert stats.problems == ()
    assert (site.target / "dir" / "sub" / "file").exists()
    assert len((site.target / "small").read_bytes()) == 10
