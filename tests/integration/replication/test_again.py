"""Mirroring again what was mirrored before: nothing is missed, little is read, next to nothing travels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dtesx.mirror import state

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("either")]


@pytest.fixture
def known(bare_site: Site, rich: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site with the rich tree, mirrored, and known to both catalogues."""
    bare_site.catalogues = tmp_path / "state"
    with bare_site.receiver():
        bare_site.mirror()
        with monkeypatch.context() as patch:
            before = state.time.time_ns  # type: ignore[attr-defined]
            patch.setattr("dtesx.mirror.state.time.time_ns", lambda: before() + 60 * 10**9)
            bare_site.mirror()
        yield bare_site


def test_what_stood_still_is_counted_and_not_sent(known: Site) -> None:
    stats = known.mirror()
    assert stats.files_sent == stats.bytes_sent == stats.problems_total == 0
    assert (stats.files_skipped, stats.bytes_skipped) == (stats.files_total, stats.bytes_total)
    assert known.differences() == ""


def _swap_link(path: Path) -> None:
    status = path.lstat()
    path.unlink()
    path.symlink_to("n0where")
    os.lchown(path, status.st_uid, status.st_gid)
    os.setxattr(path, "trusted.note", b"on a link", follow_symlinks=False)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _replace(path: Path) -> None:
    """Another file with other content, all times and numbers but its own as before."""
    status, above = path.lstat(), path.parent.lstat()
    path.with_name("new").write_bytes(b"longer than before")
    path.with_name("new").rename(path)
    os.chmod(path, status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(path.parent, ns=(above.st_atime_ns, above.st_mtime_ns))


CHANGES: list[tuple[str, Callable[[Path], Any]]] = [
    ("small", lambda path: path.chmod(0o640)),
    ("small", lambda path: os.chown(path, 7, 7)),
    ("small", lambda path: os.utime(path, ns=(1, 1))),
    ("small", lambda path: os.setxattr(path, "user.new", b"1")),
    ("small", _replace),
    ("small", lambda path: os.link(path, path.with_name("another-link"))),
    ("xattrs", lambda path: os.setxattr(path, "user.a", b"2")),
    ("xattrs", lambda path: os.removexattr(path, "trusted.t")),
    ("acl", lambda path: os.removexattr(path, "system.posix_acl_access")),
    ("inherits", lambda path: os.removexattr(path, "system.posix_acl_default")),
    ("inherits/sub", lambda path: os.utime(path, ns=(3, 3))),
    ("inherits/sub/large", lambda path: path.unlink()),
    ("inherits/sub", lambda path: (path / "new").touch()),
    ("dangling", _swap_link),
    ("fifo", lambda path: path.chmod(0o600)),
    ("empty-dir", lambda path: path.chmod(0o700)),
    ("empty-dir", lambda path: path.rmdir()),
    ("level-0", lambda path: path.rename(path.with_name("LEVEL-0"))),
    ("", lambda path: path.chmod(0o700)),
    ("", lambda path: os.setxattr(path, "trusted.root", b"1")),
]


@pytest.mark.parametrize("side", ["source", "target"])
def test_every_change_is_noticed_on_either_side(known: Site, side: str) -> None:
    for number, (name, change) in enumerate(CHANGES):
        change((known.source if side == "source" else known.target) / name)
        known.mirror()
        assert known.differences() == "", f"change {number} of {name}"


def test_catalogues_are_disposable(known: Site, tmp_path: Path) -> None:
    for file in (tmp_path / "state").rglob("*.catalogue"):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2] + os.urandom(len(content) // 4))
    assert known.mirror().files_sent == 0
    for directory in ("source", "target"):
        (tmp_path / "state" / directory).rename(tmp_path / directory / "elsewhere")
        (tmp_path / "state" / directory).write_text("in the way")
    known.mirror()
    assert known.differences() == ""
