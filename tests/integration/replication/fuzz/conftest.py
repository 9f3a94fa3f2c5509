"""What must stay as it is while somebody means harm, and a site whose two ends can be such."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.replication.conftest import Site

SECRET = b"the secret of a file outside, which nobody may read"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What lies beside source and target: files, directories, and links into both trees."""
    root = tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    for path in (root / "secret", root / "sub" / "file"):
        path.write_bytes(SECRET)
    os.link(root / "secret", root / "second-name")
    os.symlink(tmp_path / "source", root / "link")
    for path in (root / "secret", root / "sub" / "file", root / "sub", root):
        os.utime(path, ns=(5, 5))
    return root


def state(root: Path) -> list[tuple[object, ...]]:
    """Everything that can be told of a tree, but the times of access to directories."""
    found = []
    for directory, names, files in os.walk(root):
        for name in (".", *names, *files):
            path = os.path.join(directory, name)
            status = os.lstat(path)
            accessed = (
                0 if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode) else status.st_atime_ns
            )
            kept = (
                status.st_ino,
                status.st_mode,
                status.st_nlink,
                status.st_uid,
                status.st_gid,
                status.st_size,
            )
            found.append((path, *kept, status.st_mtime_ns, status.st_ctime_ns, accessed))
    return sorted(found)


@pytest.fixture
def guarded(site: Site, outside: Path) -> Iterator[Site]:
    """A site; at the end nothing outside has changed, and no file there has been read."""
    before = state(outside)
    beside = set(os.listdir(site.target.parent))
    yield site
    assert state(outside) == before
    new = set(os.listdir(site.target.parent)) - beside
    assert new <= {"roots.json", "target.orphans", "catalogues"}


@pytest.fixture
def tree(guarded: Site, outside: Path) -> Site:
    """A source with files large and small, and links to what lies outside."""
    source = guarded.source
    (source / "sub" / "below").mkdir(parents=True)
    for path in (source / "file", source / "sub" / "file"):
        path.write_bytes(b"small")
    for path in (source / "large", source / "sub" / "below" / "large"):
        path.write_bytes(bytes(range(256)) * 2800)
    (source / "away").symlink_to(outside)
    (source / "to-secret").symlink_to(outside / "secret")
    (source / "sub" / "file2").symlink_to("../../outside/secret")
    return guarded


def still_serves(site: Site) -> None:
    """The next honest mirror makes all equal again."""
    (site.source / "after").write_bytes(os.urandom(8))
    assert site.mirror(rebind=True).problems == ()
    assert site.differences() == ""
