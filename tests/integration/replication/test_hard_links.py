"""Files with several names, some of them outside the replication set; what becomes of them as names move."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.model.mirror import MirrorOptions
from dtesx.model.rules import Rule

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("either")]


class Tree:
    """``in`` is the set, ``out`` is not. ``in/a`` and ``in/sub/b`` are one file, and so is ``out/c``."""

    def __init__(self, site: Site) -> None:
        self.site = site
        for directory in ("in/sub", "out"):
            (site.source / directory).mkdir(parents=True)
        self.path("in/a").write_text("content")
        self.link("in/a", "in/sub/b")
        self.link("in/a", "out/c")
        self.mirror()

    def path(self, name: str) -> Path:
        return self.site.source / name

    def link(self, old: str, new: str) -> None:
        os.link(self.path(old), self.path(new))

    def move(self, old: str, new: str) -> None:
        self.path(old).rename(self.path(new))

    def mirror(self) -> None:
        stats = self.site.mirror(options=MirrorOptions(rules=(Rule("in"),)))
        assert stats.problems == ()
        assert not (self.site.target / "out").exists()
        for path in self.site.source.glob("in/**/*"):
            assert os.path.lexists(self.site.target / path.relative_to(self.site.source))

    @property
    def files(self) -> list[str]:
        """The replica's files, the names of one file joined by ``=``, with their content."""
        found: dict[int, list[str]] = {}
        for path in sorted(self.site.target.glob("in/**/*")):
            if path.is_file():
                found.setdefault(path.stat().st_ino, []).append(
                    str(path.relative_to(self.site.target / "in"))
                )
        text = {inode: (self.site.target / "in" / names[0]).read_text() for inode, names in found.items()}
        for inode, names in found.items():
            assert (self.site.target / "in" / names[0]).stat().st_nlink == len(names)
            assert found[inode] == sorted(names)
        return sorted(f"{'='.join(names)}: {text[inode]}" for inode, names in found.items())


@pytest.fixture
def linked(site: Site) -> Tree:
    return Tree(site)


def test_names_inside_are_one_file_whatever_is_outside(linked: Tree) -> None:
    assert linked.files == ["a=sub/b: content"]
    linked.path("out/c").unlink()
    linked.mirror()
    assert linked.files == ["a=sub/b: content"]


def test_a_new_name_inside_of_a_file_outside_makes_the_file(linked: Tree) -> None:
    linked.path("out/lone").write_text("lone")
    linked.link("out/lone", "in/lone")
    linked.link("out/c", "in/sub/c")
    linked.mirror()
    assert linked.files == ["a=sub/b=sub/c: content", "lone: lone"]
    linked.link("out/lone", "in/sub/lone")
    linked.mirror()
    assert linked.files == ["a=sub/b=sub/c: content", "lone=sub/lone: lone"]


def test_a_name_that_is_moved_in_is_there(linked: Tree) -> None:
    linked.move("out/c", "in/c")
    linked.mirror()
    assert linked.files == ["a=c=sub/b: content"]


def test_a_name_that_is_moved_inside_stays_linked(linked: Tree) -> None:
    linked.move("in/sub/b", "in/z")
    linked.move("in/a", "in/sub/a")
    linked.mirror()
    assert linked.files == ["sub/a=z: content"]


@pytest.mark.parametrize("name", ["in/a", "in/sub/b"])
def test_a_name_that_is_moved_out_or_deleted_is_deleted(linked: Tree, name: str) -> None:
    left = {"in/a": "sub/b", "in/sub/b": "a"}[name]
    linked.move(name, "out/moved")
    linked.mirror()
    assert linked.files == [f"{left}: content"]
    linked.path(f"in/{left}").unlink()
    linked.mirror()
    assert linked.files == []


def test_a_copy_is_a_file_of_its_own(linked: Tree) -> None:
    shutil.copy2(linked.path("in/a"), linked.path("in/copy"))
    shutil.copy2(linked.path("out/c"), linked.path("in/sub/copy"))
    linked.mirror()
    assert linked.files == ["a=sub/b: content", "copy: content", "sub/copy: content"]


@pytest.mark.parametrize("name", ["in/sub/b", "out/c"])
def test_what_is_done_to_the_file_through_any_name_travels(linked: Tree, name: str) -> None:
    linked.path(name).chmod(0o4751)
    linked.mirror()
    assert linked.files == ["a=sub/b: content"]
    assert (linked.site.target / "in" / "a").stat().st_mode & 0o7777 == 0o4751
    linked.path(name).write_text("written")
    linked.mirror()
    assert linked.files == ["a=sub/b: written"]


def test_a_name_that_comes_to_be_another_file_is_not_linked_any_more(linked: Tree) -> None:
    linked.path("in/sub/b").unlink()
    linked.path("in/sub/b").write_text("another")
    linked.mirror()
    assert linked.files == ["a: content", "sub/b: another"]
    linked.path("in/sub/b").unlink()
    linked.link("out/c", "in/sub/b")
    linked.mirror()
    assert linked.files == ["a=sub/b: content"]
