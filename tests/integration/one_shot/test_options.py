"""What the options of `dtesx mirror` do."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration

WHEN = 1_500_000_000 * 10**9


@pytest.fixture
def mirrored(site: Site) -> Site:
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    return site


def mirror(site: Site, *options: object) -> dict[str, Any]:
    done = site.paired("mirror", site.source, site.url(), "--json", *options)
    assert done.returncode == 0, done
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_data_are_compared_where_attributes_hide_a_change(mirrored: Site) -> None:
    large = mirrored.data / "www" / "sub" / "large"
    times = large.stat().st_atime_ns, large.stat().st_mtime_ns
    with large.open("r+b") as file:
        file.seek(300_000)
        file.write(b"rot")
    os.utime(large, ns=times)
    assert mirror(mirrored)["files_sent"] == 0
    report = mirror(mirrored, "--compare", "data")
    assert report["files_sent"] == 1
    assert 0 < report["bytes_sent"] < 100_000
    assert mirrored.differences("www", "--checksum") == ""


def test_everything_is_sent_where_nothing_is_compared(mirrored: Site) -> None:
    assert mirror(mirrored, "--compare", "none")["bytes_sent"] == 600_006
    assert mirrored.differences() == ""


def test_what_is_newer_on_the_target_stays(mirrored: Site) -> None:
    theirs = mirrored.data / "www" / "link-free"
    ours = mirrored.source / "link-free"
    ours.write_bytes(b"old")
    os.utime(ours, ns=(WHEN, WHEN))
    theirs.write_bytes(b"newer")
    mirror(mirrored, "--newer-only")
    assert theirs.read_bytes() == b"newer"
    mirror(mirrored)
    assert theirs.read_bytes() == b"old"


def test_in_place_keeps_the_file(mirrored: Site) -> None:
    large = mirrored.data / "www" / "sub" / "large"
    for options, same in (((), False), (("--in-place",), True)):
        before = large.stat().st_ino
        with (mirrored.source / "sub" / "large").open("r+b") as file:
            file.write(os.urandom(10))
        mirror(mirrored, *options)
        assert (large.stat().st_ino == before) is same
        assert mirrored.differences("www", "--checksum") == ""


def test_rules_choose_what_travels(site: Site) -> None:
    (site.source / "cache").mkdir()
    (site.source / "cache" / "big").touch()
    (site.source / "sub" / "note.tmp").touch()
    mirror(site, "--exclude", "cache", "--exclude", "*.tmp")
    replica = site.data / "www"
    assert not (replica / "cache").exists()
    assert not (replica / "sub" / "note.tmp").exists()
    (replica / "cache").mkdir()
    mirror(site, "--exclude", "cache", "--exclude", "*.tmp")
    assert (replica / "cache").exists()
    mirror(site)
    assert site.differences() == ""

    shutil.rmtree(replica)
    mirror(site, "--include", "sub", "--exclude", "sub/note.tmp")
    assert sorted(path.name for path in replica.rglob("*")) == ["hard", "large", "sub"]
    verified = site.dtesx("verify", site.source, site.url(), "--include", "sub", "--exclude", "sub/note.tmp")
    assert verified.returncode == 0, verified
    assert site.dtesx("verify", site.source, site.url()).returncode == 1


def test_what_becomes_of_orphans(mirrored: Site) -> None:
    replica = mirrored.data / "www"
    old, new = replica / "sub" / "old", replica / "new"
    for path in (old, new):
        path.write_bytes(b"orphan")
    os.utime(old, ns=(WHEN, WHEN))
    assert mirror(mirrored, "--orphans", "keep")["orphans_removed"] == 0
    report = mirror(mirrored, "--orphans", "move:gone/far", "--orphans-older-than", "7d")
    assert (report["orphans_removed"], report["orphans_bytes"]) == (1, 6)
    assert (mirrored.data / "www.orphans" / "gone" / "far" / "sub" / "old").read_bytes() == b"orphan"
    assert new.exists()
    assert mirror(mirrored)["orphans_removed"] == 1
    assert mirrored.differences() == ""


def test_the_link_is_compressed_and_made_of_several_connections(site: Site) -> None:
    (site.source / "text").write_bytes(b"the same again and again\n" * 100_000)
    report = mirror(site, "--compress", "auto", "--streams", "3", "--bandwidth", "800Mbit/s")
    assert report["bytes_wire"] < report["bytes_sent"] / 2
    assert site.differences() == ""


@pytest.mark.parametrize(
    "options",
    [
        ("--include", ""),
        ("--exclude", "a/../b"),
        ("--exclude", "x" * 300),
        ("--compare", "size"),
        ("--orphans", "move"),
        ("--orphans", "delete:x"),
        ("--orphans", "move:../x"),
        ("--orphans", "move:/x"),
        ("--orphans-older-than", "yesterday"),
        ("--compress", "20"),
        ("--bandwidth", "fast"),
        ("--bandwidth", "1"),
        ("--streams", "0"),
    ],
)
def test_options_that_make_no_sense(site: Site, options: tuple[str, ...]) -> None:
    done = site.paired("mirror", site.source, site.url(), *options)
    assert done.returncode == 2
    assert not (site.data / "www").exists()


def test_the_rules_of_a_set_select_what_travels(site: Site) -> None:
    rules = site.root / "web.yaml"
    rules.write_text("name: web\nrules:\n- include: sub\n- exclude: sub/hard\n")
    assert mirror(site, "--rules", rules, "--include", "link")["files_sent"] == 2
    assert sorted(os.listdir(site.data / "www")) == ["link", "sub"]
    done = site.dtesx("verify", site.source, site.url(), "--rules", rules, "--include", "link")
    assert done.returncode == 0, done
    rules.write_text("name: web\nrules:\n- include: typo\n")
    done = site.dtesx("mirror", site.source, site.url(), "--rules", rules)
    assert done.returncode == 10
    assert "select nothing" in done.stderr
    assert sorted(os.listdir(site.data / "www")) == ["link", "sub"]


def test_links_into_the_tree_are_remapped_where_that_is_wanted(site: Site) -> None:
    (site.source / "absolute").symlink_to(site.source / "file")
    other = site.root / "by-a-link"
    other.symlink_to(site.source)
    done = site.paired("mirror", other, site.url(), "--remap-links")
    assert done.returncode == 0, done
    copy = site.data / "www" / "absolute"
    assert os.readlink(copy) == str(site.data / "www" / "file")
    assert site.dtesx("verify", other, site.url(), "--remap-links").returncode == 0
    assert site.dtesx("verify", other, site.url()).returncode == 1


def test_remapping_is_known_to_the_catalogue(site: Site) -> None:
    for text in (site.source / "file", "/etc"):
        (site.source / f"to-{Path(text).name}").symlink_to(text)
    here, there = str(site.source / "file"), str(site.data / "www" / "file")
    mirror(site, "--remap-links")
    again = mirror(site, "--remap-links")
    assert (again["files_sent"], again["bytes_wire"] < 5000) == (0, True)
    for option, wanted, sent in (
        ("--no-remap-links", here, 1),
        ("--remap-links", there, 1),
        ("--remap-links", there, 0),
    ):
        assert mirror(site, option)["files_sent"] == sent
        assert os.readlink(site.data / "www" / "to-file") == wanted
        assert os.readlink(site.data / "www" / "to-etc") == "/etc"


def test_links_are_remapped_below_a_name_that_is_no_text(idle: Site) -> None:
    data = Path(os.fsdecode(os.fsencode(idle.root) + b"/d\xff"))
    idle.start(data=data)
    (idle.source / "absolute").symlink_to(idle.source / "file")
    assert idle.paired("mirror", idle.source, idle.url(), "--remap-links").returncode == 0
    assert os.readlink(data / "www" / "absolute") == str(data / "www" / "file")


def test_a_transmission_file(site: Site) -> None:
    plan, queue = site.root / "plan.yaml", site.root / "queue"
    queue.mkdir()
    plan.write_text(f"threshold: 100\nbandwidth: 1GB/s\nqueue:\n  folder: {queue}\n")
    assert mirror(site, "--transmit", plan)["files_sent"] == 4
    assert site.differences() == ""
    plan.write_text("window: 25:00-04:00\n")
    done = site.dtesx("mirror", site.source, site.url(), "--transmit", plan)
    assert done.returncode == 2
    assert "window" in done.stderr
