import os
import time
from pathlib import Path

from dtesx.lab import debian
from dtesx.lab.appliance_tree import PACKAGES
from dtesx.lab.debian import Recipe


def recipe(*decided_by: str, packages: tuple[str, ...] = PACKAGES) -> Recipe:
    return Recipe("tree", "label", packages, (), (), lambda _: None, decided_by)


def test_the_key_follows_what_decides_the_tree(tmp_path: Path) -> None:
    file = tmp_path / "recipe.py"
    file.write_text("PACKAGES = ('a',)")
    before = recipe(str(file)).key
    assert recipe(str(file)).key == before
    file.write_text("PACKAGES = ('b',)")
    assert recipe(str(file)).key != before


def test_only_trees_that_nobody_asked_for_in_a_week_are_removed(tmp_path: Path) -> None:
    old = time.time() - 8 * 86400
    used = {"tree-used.img", "tree-used.initrd", "appliance-0.img"}
    for name in ("tree-old.img", "tree-old.vmlinuz", *used):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, None if name in used else (old, old))
    (tmp_path / ".tree-1234.img").touch()
    debian.remove_old(tmp_path, "tree")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == used
