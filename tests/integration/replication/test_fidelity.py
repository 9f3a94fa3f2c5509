"""Every file, every attribute: rsync, asked to find a difference, must find none."""

from __future__ import annotations

import os
import random
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.base.run import run

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("either")]


def test_rich_tree_first_and_again(site: Site, rich: Path) -> None:
    stats = site.mirror()
    assert site.differences() == ""
    assert stats.problems == ()
    assert stats.files_sent == stats.files_total > 30
    assert stats.bytes_sent + stats.bytes_skipped == stats.bytes_total

    again = site.mirror()
    assert (again.files_sent, again.bytes_sent, again.orphans_removed) == (0, 0, 0)
    assert again.files_skipped == again.files_total == stats.files_total
    assert again.bytes_skipped == again.bytes_total
    assert site.differences() == ""


def test_holes_stay_holes(site: Site, rich: Path) -> None:
    site.mirror()
    for name in ("sparse", "hole"):
        ours, theirs = (site.target / name).stat(), (rich / name).stat()
        assert ours.st_size == theirs.st_size
        assert ours.st_blocks <= theirs.st_blocks + 16
    assert (site.target / "sparse").read_bytes() == (rich / "sparse").read_bytes()


def test_content_is_equal(site: Site, rich: Path) -> None:
    site.mirror()
    argv = ["rsync", "-rcn", "--itemize-changes", f"{rich}/", f"{site.target}/"]
    changed = [line for line in run(argv).text.splitlines() if line[2] in "c+" and line[1] == "f"]
    assert changed == []


def test_metadata_of_what_is_immutable(site: Site) -> None:
    (site.source / "locked").mkdir()
    names = ("file", "dated", "linked")
    for name in names:
        (site.source / "locked" / name).write_bytes(b"1")
    os.link(site.source / "locked" / "linked", site.source / "another")
    paths = [str(site.source / "locked" / name) for name in (*names, "")]
    run(["chattr", "+i", *paths])
    assert site.mirror().problems == ()
    assert site.differences() == ""
    run(["chattr", "-i", *paths])
    for path in paths:
        os.chown(path, 5, 6)
        os.chmod(path, 0o500)
        os.setxattr(path, "user.a", b"b")
    os.utime(paths[1], ns=(7, 8))
    os.link(site.source / "another", site.source / "third")
    run(["chattr", "+i", *paths])
    assert site.mirror().problems == ()
    assert site.differences() == ""
    flags = run(["lsattr", "-d", *(str(site.target / "locked" / name) for name in (*names, ""))]).text
    assert [line.split()[0].count("i") for line in flags.splitlines()] == [1] * 4


def test_flags_travel_and_do_not_hinder_the_next_mirror(site: Site) -> None:
    locked = site.source / "locked"
    locked.mkdir()
    (locked / "inside").write_bytes(b"1")
    (site.source / "log").write_bytes(b"1")
    (site.source / "orphan").write_bytes(b"1")
    run(["chattr", "+i", str(locked / "inside")])
    run(["chattr", "+a", str(site.source / "log")])
    run(["chattr", "+d", str(site.source / "orphan")])
    run(["chattr", "+i", str(locked)])
    site.mirror()
    assert site.differences() == ""
    flags = run(["lsattr", "-d", *map(str, (site.target / "locked", site.target / "locked/inside"))]).text
    assert [line.split()[0].count("i") for line in flags.splitlines()] == [1, 1]
    assert "a" in run(["lsattr", "-d", str(site.target / "log")]).text.split()[0]
    assert "d" in run(["lsattr", "-d", str(site.target / "orphan")]).text.split()[0]

    run(["chattr", "-R", "-i", str(locked)])
    (locked / "inside").write_bytes(b"22")
    (locked / "new").write_bytes(b"3")
    run(["chattr", "+i", str(locked)])
    with (site.source / "log").open("ab") as file:
        file.write(b"more")
    stats = site.mirror()
    assert stats.problems == ()
    assert site.differences() == ""
    assert "i" in run(["lsattr", "-d", str(site.target / "locked")]).text.split()[0]

    run(["chattr", "-R", "-i", str(locked)])
    shutil.rmtree(locked)
    stats = site.mirror()
    assert stats.problems == ()
    assert stats.orphans_removed == 3
    assert site.differences() == ""


def test_a_link_to_what_is_immutable_takes_the_place_of_another_file(site: Site) -> None:
    locked, other = site.source / "locked", site.source / "other"
    for path in (locked, other):
        path.write_text(path.name)
    run(["chattr", "+i", str(locked)])
    site.mirror()
    run(["chattr", "-i", str(locked)])
    other.unlink()
    os.link(locked, other)
    run(["chattr", "+i", str(locked)])
    assert site.mirror().problems == ()
    assert site.differences() == ""
    assert sorted(path.name for path in site.target.iterdir()) == ["locked", "other"]


def _replace_kinds(root: Path) -> None:
    shutil.rmtree(root / "inherits")
    (root / "inherits").write_bytes(b"now a file")
    (root / "small").unlink()
    (root / "small").mkdir()
    (root / "small" / "child").touch()
    (root / "absolute").unlink()
    (root / "absolute").write_bytes(b"now a file")
    (root / "middle").unlink()
    (root / "middle").symlink_to("large")
    shutil.rmtree(root / "level-0")
    (root / "level-0").symlink_to("sub")
    (root / "fifo").unlink()
    os.mknod(root / "fifo", 0o20600, os.makedev(1, 5))
    (root / "null").unlink()
    os.mknod(root / "null", 0o20666, os.makedev(1, 7))
    (root / "to-dir").unlink()
    (root / "to-dir").symlink_to("elsewhere")


def test_every_kind_of_change(site: Site, rich: Path) -> None:
    site.mirror()
    _replace_kinds(rich)
    with (rich / "large").open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"changed")
    os.chmod(rich / "secret", 0o600)
    os.chown(rich / "setuid", 0, 0)
    os.removexattr(rich / "xattrs", "user.a")
    os.setxattr(rich / "xattrs", "user.new", b"new")
    os.setxattr(rich / "acl", "system.posix_acl_access", b"\x02\x00\x00\x00" + b"")
    os.lchown(rich / "dangling", 1, 2)
    (rich / "z-link").unlink()
    (rich / "z-link").write_bytes(b"linked")
    os.link(rich / "2001", rich / "2001-again")
    os.utime(rich / "empty-dir", ns=(1, 1_000))
    (rich / "sub" / "first").rename(rich / "group" / "first")
    stats = site.mirror()
    assert stats.problems == ()
    assert stats.orphans_removed > 60
    assert site.differences() == ""
    assert site.mirror().files_sent == 0


def test_metadata_alone_sends_no_content(site: Site, rich: Path) -> None:
    site.mirror()
    inode = (site.target / "large").stat().st_ino
    os.chmod(rich / "large", 0o4711)
    stats = site.mirror()
    assert (stats.files_sent, stats.bytes_sent) == (1, 0)
    assert (site.target / "large").stat().st_ino == inode
    assert site.differences() == ""


def test_target_changed_behind_our_back(site: Site, rich: Path) -> None:
    site.mirror()
    shutil.rmtree(site.target / "sub")
    (site.target / "sub").symlink_to("/etc")
    (site.target / "large").unlink()
    (site.target / "large").mkdir()
    (site.target / "large" / "x").touch()
    (site.target / "orphans").mkdir()
    (site.target / "orphans" / "one").touch()
    os.link(site.target / "small", site.target / "setuid-2")
    (site.target / "2100").unlink()
    os.link(site.target / "2001", site.target / "2100")
    assert site.mirror().problems == ()
    assert site.differences() == ""


def test_sockets_are_counted_not_sent(site: Site) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(site.source / "s"))
        stats = site.mirror()
    assert stats.sockets_skipped == 1
    assert stats.problems == ()
    assert list(site.target.iterdir()) == []


def test_excluded_and_own_state_stay_on_both_sides(site: Site) -> None:
    for name in ("keep", "cache", "cache/deep", "srv"):
        (site.source / name).mkdir()
        (site.source / name / "file").write_bytes(b"source")
    (site.target / "cache").mkdir()
    (site.target / "cache" / "mine").write_bytes(b"target")
    stats = site.mirror(exclude=("/data/cache", "/data/srv/file", "/elsewhere"))
    assert (site.target / "cache" / "mine").read_bytes() == b"target"
    assert not (site.target / "cache" / "file").exists()
    assert sorted(p.name for p in site.target.rglob("*")) == ["cache", "file", "keep", "mine", "srv"]
    assert (stats.files_total, stats.orphans_removed) == (1, 0)


def test_other_file_systems_are_not_entered(site: Site) -> None:
    mounted = site.source / "mounted"
    mounted.mkdir()
    (site.target / "mounted").mkdir()
    run(["mount", "-t", "tmpfs", "none", str(mounted)])
    run(["mount", "-t", "tmpfs", "none", str(site.target / "mounted")])
    try:
        (mounted / "foreign").touch()
        (site.target / "mounted" / "precious").touch()
        site.mirror()
        assert [p.name for p in (site.target / "mounted").iterdir()] == ["precious"]
    finally:
        run(["umount", str(mounted)])
        run(["umount", str(site.target / "mounted")])


def _mutate(rng: random.Random, root: Path) -> None:
    everything = [p for p in root.rglob("*") if os.path.lexists(p)]
    directories = [root, *(p for p in everything if p.is_dir() and not p.is_symlink())]
    files = [p for p in everything if p.is_file() and not p.is_symlink()]
    place = rng.choice(directories) / f"{rng.choice('abcdefgh')}{rng.choice('-./+0')}".replace("/", "x")
    action = rng.randrange(8)
    if os.path.lexists(place):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        elif action < 4:
            place.unlink()
        else:
            os.chmod(place, rng.randrange(0o1000), follow_symlinks=True) if place.is_file() else None
    elif action < 2:
        place.mkdir()
    elif action < 5 and files:
        os.link(rng.choice(files), place)
    elif action < 6:
        place.symlink_to(rng.choice("abc"))
    else:
        place.write_bytes(rng.randbytes(rng.choice((0, 1, 100, 300_000))))


@pytest.mark.parametrize("seed", range(6))
def test_random_changes_converge(site: Site, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(8):
        for _ in range(40):
            _mutate(rng, site.source)
            if rng.random() < 0.1:
                _mutate(rng, site.target)
        stats = site.mirror()
        assert stats.problems == ()
        assert site.differences() == ""
    assert site.mirror().files_sent == 0
