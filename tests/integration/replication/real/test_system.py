"""Trees of this machine's system, and that of a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.lab.rootfs import mounted_tree
from dtesx.lab.tree import base_tree, copy_image
from tests.integration.replication.conftest import Site

from .conftest import prove

pytestmark = pytest.mark.integration

NOT_MIRRORED = ("--exclude=/lost+found", "--exclude=/srv/odd/specials/socket")
CACHE = Path(__file__).parents[4] / ".cache"


@pytest.mark.parametrize("tree", ["/etc", "/usr/bin", "/usr/lib/python3", "/usr/share/doc"])
def test_a_tree_of_the_running_system(real: Site, tree: str) -> None:
    real.source = Path(tree)
    prove(real)


def test_the_root_of_a_debian_server(real: Site, tmp_path: Path) -> None:
    image = tmp_path / "server.img"
    copy_image(base_tree(CACHE, print), image)
    with mounted_tree(image, tmp_path / "server") as tree:
        real.source = tree.root
        prove(real, *NOT_MIRRORED)
        files = [
            run(["chroot", str(root), "dpkg", "--verify"], ok=(0, 1)).text
            for root in (tree.root, real.target)
        ]
    assert files[0] == files[1]
