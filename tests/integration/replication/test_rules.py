"""Replication-set rules from end to end: what travels, what is left alone, what is an orphan."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.base.errors import SetEmpty
from dtesx.base.run import run
from dtesx.model.mirror import MirrorOptions, OrphanAction, OrphanPolicy
from dtesx.model.rules import Rule, RuleType
from dtesx.model.stats import MirrorStats

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


def include(path: str, *, recursive: bool = True) -> Rule:
    return Rule(path, RuleType.INCLUDE, recursive)


def exclude(path: str, *, recursive: bool = True) -> Rule:
    return Rule(path, RuleType.EXCLUDE, recursive)


def mirror(site: Site, *rules: Rule) -> MirrorStats:
    stats = site.mirror(options=MirrorOptions(rules=rules))
    assert stats.problems == ()
    return stats


def fill(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_only_what_the_rules_take_travels(site: Site) -> None:
    fill(site.source, "var/lib/db/data", "var/lib/db/tmp/x", "var/lib/other", "var/log/l", "home/u/mail/m")
    fill(site.source, "home/u/else", "etc/passwd")
    (site.source / "var" / "lib").chmod(0o710)
    os.utime(site.source / "var", ns=(1, 1_111_111_111_111_111_111))
    stats = mirror(site, include("/data/var/lib/db"), exclude("/data/var/lib/db/tmp"), include("home/*/mail"))
    assert tree(site.target) == [
        *("home", "home/u", "home/u/mail", "home/u/mail/m"),
        *("var", "var/lib", "var/lib/db", "var/lib/db/data"),
    ]
    assert (site.target / "var" / "lib").stat().st_mode & 0o777 == 0o710
    assert (site.target / "var").stat().st_mtime_ns == 1_111_111_111_111_111_111
    assert (stats.files_total, stats.files_sent) == (2, 2)
    assert mirror(site, include("/data/var/lib/db"), include("home/*/mail")).files_sent == 1


def test_excluded_names_are_protected_and_names_outside_are_orphans(site: Site) -> None:
    fill(site.source, "d/a.doc", "d/a.tmp", "d/a.txt")
    fill(site.target, "d/b.doc", "d/b.tmp", "d/b.txt", "d/a.tmp", "d/a.txt", "outside/file")
    stats = mirror(site, include("d/*.doc"), exclude("d/*.tmp"))
    assert tree(site.target) == ["d", "d/a.doc", "d/a.tmp", "d/b.tmp"]
    assert (site.target / "d" / "a.tmp").read_text() == "d/a.tmp"
    assert stats.orphans_removed == 5


def test_a_symlink_above_the_entry_point_becomes_a_directory(site: Site, tmp_path: Path) -> None:
    fill(tmp_path, "elsewhere/in/file", "elsewhere/out/file")
    os.setxattr(tmp_path / "elsewhere", "user.note", b"x")
    (site.source / "link").symlink_to(tmp_path / "elsewhere")
    (site.source / "other").symlink_to(tmp_path / "elsewhere")
    mirror(site, include("link/in"))
    assert tree(site.target) == ["link", "link/in", "link/in/file"]
    assert not (site.target / "link").is_symlink()
    assert os.getxattr(site.target / "link", "user.note") == b"x"
    mirror(site, include("link"), include("other"))
    assert tree(site.target) == ["link", "other"]
    assert (site.target / "link").is_symlink()


def test_mounts_are_entered_where_a_rule_spells_them_out(site: Site, tmp_path: Path) -> None:
    fill(site.source, "own")
    fill(tmp_path, "elsewhere/bound")
    mounts = [site.source / name for name in ("named", "unnamed", "bind", "proc")]
    for mount in mounts:
        mount.mkdir()
    run(["mount", "-t", "tmpfs", "none", str(mounts[0])])
    run(["mount", "-t", "tmpfs", "none", str(mounts[1])])
    run(["mount", "--bind", str(tmp_path / "elsewhere"), str(mounts[2])])
    run(["mount", "-t", "proc", "none", str(mounts[3])])
    try:
        for mount in mounts[:2]:
            fill(mount, "d/file")
        os.link(site.source / "own", site.source / "own-again")
        mirror(site)
        assert tree(site.target) == ["bind", "named", "own", "own-again", "proc", "unnamed"]
        mirror(site, include("/data"), include("/data/named"))
        assert [name for name in tree(site.target) if "/" in name] == ["named/d", "named/d/file"]
        mirror(site, include("/data"), include("/data/bind"))
        assert [name for name in tree(site.target) if "bind/" in name] == ["bind/bound"]
    finally:
        for mount in mounts:
            run(["umount", str(mount)])


def test_link_numbers_of_two_file_systems_are_not_mixed_up(site: Site) -> None:
    inner = site.source / "inner"
    inner.mkdir()
    for path in (site.source, inner):
        run(["mount", "-t", "tmpfs", "none", str(path)])
        inner.mkdir(exist_ok=True)
    try:
        for root in (site.source, inner):
            for number in range(20):  # tmpfs numbers its inodes from 1, so numbers meet
                (root / f"{number}").write_text(f"{root} {number}")
                os.link(root / f"{number}", root / f"{number}-again")
        mirror(site, include("/"), include("/data/inner"))
        assert site.differences() == ""
    finally:
        run(["umount", str(inner)])
        run(["umount", str(site.source)])


def test_a_tree_deeper_than_any_path_may_be_long(site: Site) -> None:
    name, depth = "level" * 20, 300
    fd = os.open(site.source, os.O_RDONLY)
    for level in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.setxattr(below, "user.level", b"%d" % level)
        os.close(fd)
        fd = below
    bottom = os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=fd)
    os.write(bottom, b"deep")
    os.close(bottom)
    os.close(fd)
    stats = mirror(site)
    assert (stats.files_total, stats.files_sent) == (1, 1)
    again = mirror(site)
    assert (again.files_sent, again.files_skipped) == (0, 1)
    fd = os.open(site.target, os.O_RDONLY)
    for level in range(depth):
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        assert os.getxattr(below, "user.level") == b"%d" % level
        os.close(fd)
        fd = below
    bottom = os.open("bottom", os.O_RDONLY, dir_fd=fd)
    assert os.read(bottom, 10) == b"deep"
    os.close(bottom)
    os.close(fd)


@pytest.mark.parametrize(
    "policy",
    [
        OrphanPolicy(),
        OrphanPolicy(older_than=0.001),
        OrphanPolicy(OrphanAction.MOVE, move_to="attic"),
    ],
)
def test_what_wildcards_exclude_survives_in_orphan_directories(site: Site, policy: OrphanPolicy) -> None:
    fill(site.source, "kept")
    fill(
        site.target,
        "old/x.tmp",
        "old/y",
        "old/deep/z.tmp",
        "old/deep/z",
        "old/gone/z",
        "bare/a/b",
        "all.tmp/x",
    )
    (site.source / "bare").write_text("a file")
    stats = site.mirror(options=MirrorOptions(rules=(exclude("*.tmp"),), orphans=policy))
    assert stats.problems == ()
    assert tree(site.target) == [
        *("all.tmp", "all.tmp/x", "bare", "kept"),
        *("old", "old/deep", "old/deep/z.tmp", "old/x.tmp"),
    ]
    assert (site.target / "bare").read_text() == "a file"
    assert stats.orphans_removed >= 4
    moved = site.target.with_name("target.orphans") / "attic"
    if policy.action is OrphanAction.MOVE:
        assert [name for name in tree(moved) if (moved / name).is_file()] == [
            *("bare/a/b", "old/deep/z", "old/gone/z", "old/y"),
        ]


def test_protected_names_are_not_overrun_by_a_file_in_their_directory_s_place(site: Site) -> None:
    fill(site.source, "kept")
    (site.source / "d").write_text("a file")
    fill(site.target, "d/x.tmp", "d/y")
    stats = site.mirror(options=MirrorOptions(rules=(exclude("d/*.tmp"),)))
    assert [problem.path for problem in stats.problems] == ["/data/d"]
    assert tree(site.target) == ["d", "d/x.tmp", "kept"]


@pytest.mark.parametrize(
    "rules",
    [
        (include("/elsewhere"),),
        (include("d/typo"),),
        (include("d/*.typo"), include("typo/**/x")),
        (exclude("/"),),
        (include("d"), exclude("d")),
    ],
)
def test_a_set_that_selects_nothing_never_empties_a_replica(site: Site, rules: tuple[Rule, ...]) -> None:
    fill(site.source, "d/a", "e")
    site.mirror()
    before = tree(site.target)
    with pytest.raises(SetEmpty, match="select nothing of /data"):
        mirror(site, *rules)
    assert tree(site.target) == before
    keeping = MirrorOptions(rules=rules, orphans=OrphanPolicy(OrphanAction.KEEP))
    assert site.mirror(options=keeping).problems == ()
    assert tree(site.target) == before


def test_symlinks_into_the_set_lead_into_the_replica(site: Site) -> None:
    fill(site.source, "d/a", "out/b")
    links = {
        "in": "/data/d/a",
        "dangling": "/data/d/nothing",
        "root": "/data/",
        "up": "/data/d/../d/./a",
        "out-of-the-set": "/data/out/b",
        "outside": "/etc/passwd",
        "relative": "d/a",
        "escaping": "/data/d/../../etc",
    }
    for name, text in links.items():
        (site.source / "d" / name).symlink_to(text)
    options = MirrorOptions(rules=(include("d"),), remap_links=True)
    stats = site.mirror(options=options)
    assert stats.problems == ()
    found = {name: os.readlink(site.target / "d" / name) for name in links}
    target = str(site.target)
    assert found == links | {
        "in": f"{target}/d/a",
        "dangling": f"{target}/d/nothing",
        "root": f"{target}/",
        "up": f"{target}/d/../d/./a",
    }
    assert (site.target / "d" / "in").read_text() == "d/a"
    assert site.mirror(options=options).files_sent == 0
    stats = mirror(site, include("d"))
    assert {name: os.readlink(site.target / "d" / name) for name in links} == links
    assert stats.files_sent == 4
