"""What only the target has: kept, removed, or moved beside the replica; by age."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.base.errors import Refused
from dtesx.base.run import run
from dtesx.model.mirror import MirrorOptions, OrphanAction, OrphanPolicy
from dtesx.model.request import MirrorRequest
from dtesx.model.rules import Rule, RuleType
from dtesx.model.stats import MirrorStats
from dtesx.replication.verifying import remove_orphans

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration

DAY = 86_400
KEEP = OrphanPolicy(OrphanAction.KEEP)
MOVE = OrphanPolicy(OrphanAction.MOVE, move_to="attic/2024")


def _mirror(site: Site, policy: OrphanPolicy) -> MirrorStats:
    return site.mirror(options=MirrorOptions(orphans=policy), rebind=True)


def _names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def _age(path: Path, days: float) -> None:
    when = time.time_ns() - round(days * DAY * 1e9)
    os.utime(path, ns=(when, when), follow_symlinks=False)


@pytest.fixture
def orphans(site: Site) -> Path:
    """A mirrored tree whose target has, besides: old, young, tree/{old,young,sub/old,empty/}."""
    (site.source / "shared").mkdir()
    (site.source / "shared" / "file").write_bytes(b"x")
    site.mirror()
    root = site.target / "shared"
    (root / "tree" / "sub").mkdir(parents=True)
    (root / "tree" / "empty").mkdir()
    for name, days in (("old", 9), ("young", 1), ("tree/old", 9), ("tree/young", 1), ("tree/sub/old", 9)):
        (root / name).write_bytes(b"12345")
        _age(root / name, days)
    return root


def test_kept_orphans_and_their_directory_are_not_touched(site: Site, orphans: Path) -> None:
    os.utime(site.source / "shared", ns=(7, 7))
    os.utime(orphans, ns=(7, 7))
    before, ctime = _names(orphans), orphans.stat().st_ctime_ns
    stats = _mirror(site, KEEP)
    assert (_names(orphans), orphans.stat().st_ctime_ns) == (before, ctime)
    assert (stats.orphans_removed, stats.problems) == (0, ())


def test_removed_orphans_are_counted_with_their_bytes(site: Site, orphans: Path) -> None:
    stats = _mirror(site, OrphanPolicy())
    assert _names(orphans) == ["file"]
    assert (stats.orphans_removed, stats.orphans_bytes) == (8, 25)
    assert site.differences() == ""
    assert site.reports[-1][1].orphans_bytes == 25


def test_young_orphans_stay_and_so_do_their_directories(site: Site, orphans: Path) -> None:
    stats = _mirror(site, OrphanPolicy(older_than=5 * DAY))
    assert _names(orphans) == ["file", "tree", "tree/young", "young"]
    assert (stats.orphans_removed, stats.orphans_bytes) == (5, 15)
    assert _mirror(site, OrphanPolicy(older_than=5 * DAY)).orphans_removed == 0


def test_moved_orphans_keep_their_paths(site: Site, orphans: Path) -> None:
    (orphans / "link").symlink_to("/etc")
    stats = _mirror(site, MOVE)
    attic = site.target.parent / "target.orphans" / "attic" / "2024" / "shared"
    assert _names(orphans) == ["file"]
    moved = [
        "link",
        "old",
        "tree",
        "tree/empty",
        "tree/old",
        "tree/sub",
        "tree/sub/old",
        "tree/young",
        "young",
    ]
    assert _names(attic) == moved
    assert (stats.orphans_removed, stats.orphans_bytes, stats.problems) == (9, 25, ())
    assert site.differences() == ""


def test_taken_names_are_numbered(site: Site, orphans: Path) -> None:
    attic = site.target.parent / "target.orphans" / "attic" / "2024"
    for content in (b"first", b"second"):
        (site.target / "file").write_bytes(content)
        (site.target / "tree").mkdir()
        _mirror(site, MOVE)
    (site.target / "file").mkdir()
    _age(site.target / "file", 1)
    (site.target / "file" / "below").write_bytes(b"x")
    _age(site.target / "file" / "below", 9)
    _mirror(site, OrphanPolicy(OrphanAction.MOVE, 5 * DAY, "attic/2024"))
    assert (attic / "file").read_bytes() == b"first"
    assert (attic / "file.1").read_bytes() == b"second"
    assert (attic / "file.2" / "below").read_bytes() == b"x"
    assert sorted(path.name for path in attic.glob("tree*")) == ["tree", "tree.1"]


def test_only_old_orphans_are_moved(site: Site, orphans: Path) -> None:
    stats = _mirror(site, OrphanPolicy(OrphanAction.MOVE, 5 * DAY, "attic"))
    attic = site.target.parent / "target.orphans" / "attic" / "shared"
    assert _names(attic) == ["old", "tree", "tree/old", "tree/sub", "tree/sub/old"]
    assert _names(orphans) == ["file", "tree", "tree/young", "young"]
    assert stats.problems == ()


def test_a_directory_in_the_way_gives_way_as_its_orphans_do(site: Site, orphans: Path) -> None:
    (site.source / "shared" / "tree").write_bytes(b"now a file")
    stats = _mirror(site, KEEP)
    assert [problem.path for problem in stats.problems] == ["/data/shared/tree"]
    assert "not to be removed" in stats.problems[0].reason
    assert (orphans / "tree" / "sub" / "old").exists()
    assert _mirror(site, MOVE).problems == ()
    assert (orphans / "tree").read_bytes() == b"now a file"
    attic = site.target.parent / "target.orphans" / "attic" / "2024" / "shared"
    assert (attic / "tree" / "sub" / "old").exists()


def test_orphans_on_another_file_system_are_not_moved(site: Site, orphans: Path) -> None:
    beside = site.target.parent / "target.orphans"
    beside.mkdir()
    run(["mount", "-t", "tmpfs", "none", str(beside)])
    try:
        with pytest.raises(Refused, match="another file system") as caught:
            _mirror(site, MOVE)
        assert "kept or deleted" in caught.value.hint
        assert (orphans / "old").exists()
    finally:
        run(["umount", str(beside)])


def test_a_tree_deeper_than_descriptors_and_paths_reach_is_removed_and_moved(site: Site) -> None:
    for number, policy in enumerate((MOVE, OrphanPolicy(older_than=5 * DAY), OrphanPolicy())):
        fd = os.open(site.target, os.O_RDONLY)
        for _ in range(1500):
            os.mkdir(b"deep", dir_fd=fd)
            below = os.open(b"deep", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)
        stats = _mirror(site, policy)
        assert (stats.problems, stats.orphans_removed) == ((), 1500), number
        assert list(site.target.iterdir()) == []
    run(["rm", "-rf", str(site.target.parent / "target.orphans")])


def _remove(site: Site, policy: OrphanPolicy) -> MirrorStats:
    return remove_orphans(
        MirrorRequest("job", "127.0.0.1", site.port, site.them.certificate, ("/data",)),
        site.us,
        stop=threading.Event(),
        opener=site.view,
        options=MirrorOptions(
            rules=(Rule("/data/shared/spared", RuleType.EXCLUDE, wildcards=False),), orphans=policy
        ),
    )


def test_orphans_alone_are_removed_and_directories_keep_their_times(site: Site, orphans: Path) -> None:
    (orphans / "spared").write_bytes(b"1")
    (orphans / "file").write_bytes(b"differs")
    (site.source / "missing").write_bytes(b"not sent")
    for directory in (orphans, site.target):
        os.utime(directory, ns=(5, 12_345))
    os.chmod(orphans, 0o711)
    stats = _remove(site, OrphanPolicy())
    assert _names(site.target) == ["shared", "shared/file", "shared/spared"]
    assert (stats.orphans_removed, stats.orphans_bytes, stats.problems) == (8, 25, ())
    assert (orphans / "file").read_bytes() == b"differs"
    assert (orphans.stat().st_mtime_ns, orphans.stat().st_mode & 0o777) == (12_345, 0o711)
    assert site.target.stat().st_mtime_ns == 12_345


def test_orphans_of_an_age_are_moved(site: Site, orphans: Path) -> None:
    policy = OrphanPolicy(OrphanAction.MOVE, older_than=7 * DAY, move_to="attic")
    stats = _remove(site, policy)
    assert _names(orphans) == ["file", "tree", "tree/young", "young"]
    assert stats.orphans_bytes == 15
    moved = site.target.parent / f"{site.target.name}.orphans/attic/shared"
    assert (moved / "tree/sub/old").read_bytes() == b"12345"


def test_a_directory_that_is_a_file_on_the_source_is_no_orphan(site: Site, orphans: Path) -> None:
    (site.source / "shared" / "file").unlink()
    (site.source / "shared").rmdir()
    (site.source / "shared").write_bytes(b"a file now")
    before = _names(site.target)
    assert _remove(site, OrphanPolicy()).orphans_removed == 0
    assert _names(site.target) == before


@pytest.mark.parametrize("policy", [OrphanPolicy(), MOVE])
def test_flags_stay_where_orphans_were(site: Site, orphans: Path, policy: OrphanPolicy) -> None:
    (orphans / "spared").write_bytes(b"1")
    os.link(orphans / "spared", orphans / "linked")
    os.utime(orphans, ns=(5, 12_345))
    locked = [orphans / "spared", orphans / "tree", orphans / "old", orphans]
    run(["chattr", "+i", *map(str, locked)])
    run(["chattr", "+a", str(orphans / "young")])
    try:
        stats = _remove(site, policy)
        assert (stats.orphans_removed, stats.problems) == (9, ())
        assert _names(orphans) == ["file", "spared"]
        assert orphans.stat().st_mtime_ns == 12_345
        beside = site.target.parent / "target.orphans/attic/2024/shared"
        flags = _flags(orphans, orphans / "spared")
        assert flags == ["i", "i"]
        if policy is MOVE:
            assert _flags(beside / "old", beside / "tree", beside / "young") == ["i", "i", "a"]
    finally:
        run(["chattr", "-R", "-f", "-i", "-a", str(site.target.parent)], ok=(0, 1))


def _flags(*paths: Path) -> list[str]:
    lines = run(["lsattr", "-d", *map(str, paths)]).text.splitlines()
    return ["".join(flag for flag in line.split()[0] if flag in "ia") for line in lines]
