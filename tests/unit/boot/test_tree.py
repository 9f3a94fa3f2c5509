from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict
from dtesx.boot.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    return Tree(root)


@pytest.mark.parametrize(
    ("link", "asked", "found"),
    [
        ("/etc", "x/fstab", "etc/fstab"),
        ("../../../../etc", "x/fstab", "etc/fstab"),
        ("etc/../etc", "x/../x/fstab", "etc/fstab"),
        ("/outside/of/it", "x", "outside/of/it"),
    ],
)
def test_links_are_followed_inside_the_root_only(tree: Tree, link: str, asked: str, found: str) -> None:
    (tree.root / "x").symlink_to(link)
    assert tree.resolve(asked) == tree.root / found


def test_writing_through_an_absolute_link_stays_inside(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tree.root / "etc/fstab").symlink_to(outside)
    assert tree.write("/etc/fstab", "new")
    assert outside.read_text() == "mine"
    assert tree.text("/etc/fstab") == "new"
    assert (tree.root / "etc/fstab").is_symlink()


def test_a_loop_of_links_is_named(tree: Tree) -> None:
    (tree.root / "a").symlink_to("b")
    (tree.root / "b").symlink_to("a")
    with pytest.raises(Conflict, match="loop of symbolic links"):
        tree.resolve("/a/b")


def test_write_keeps_mode_and_says_whether_it_changed(tree: Tree) -> None:
    path = tree.root / "etc/secret"
    path.write_text("old")
    path.chmod(0o640)
    assert tree.write("/etc/secret", "new")
    assert not tree.write("/etc/secret", "new")
    assert path.stat().st_mode & 0o7777 == 0o640
    assert tree.write("/new/deep/file", b"\xff", mode=0o600)
    assert (tree.root / "new/deep/file").stat().st_mode & 0o7777 == 0o600
    assert os.listdir(tree.root / "etc") == ["secret"]


def test_text_that_is_not_utf8_survives(tree: Tree) -> None:
    (tree.root / "etc/odd").write_bytes(b"caf\xe9\n")
    tree.write("/etc/odd", tree.text("/etc/odd") + "more\n")
    assert tree.read("/etc/odd") == b"caf\xe9\nmore\n"


def test_what_is_missing_is_empty(tree: Tree) -> None:
    assert (tree.read("/no"), tree.text("/no"), tree.names("/no")) == (b"", "", ())
    assert not tree.is_file("/no")
    assert not tree.is_directory("/no")
    tree.remove("/etc/no")


def test_remove_takes_the_link_not_its_target(tree: Tree) -> None:
    (tree.root / "etc/target").touch()
    (tree.root / "etc/link").symlink_to("target")
    tree.remove("/etc/link")
    assert tree.names("/etc") == ("target",)
