"""What needs root: extended attributes of the security namespace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtesx.boot.tree import Tree

pytestmark = pytest.mark.integration
LABEL = "security.selinux"
CONTEXT = b"system_u:object_r:etc_t:s0\0"


def test_new_files_and_directories_have_the_label_of_their_directory(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.setxattr(tmp_path / "etc", LABEL, CONTEXT)
    tree = Tree(tmp_path)
    tree.write("/etc/systemd/network/a.link", "x")
    for made in ("systemd", "systemd/network", "systemd/network/a.link"):
        assert os.getxattr(tmp_path / "etc" / made, LABEL) == CONTEXT


def test_a_replaced_file_keeps_its_own(tmp_path: Path) -> None:
    os.setxattr(tmp_path, LABEL, CONTEXT)
    file = tmp_path / "net"
    file.write_text("old")
    os.setxattr(file, LABEL, b"system_u:object_r:net_conf_t:s0\0")
    Tree(tmp_path).write("/net", "new")
    assert os.getxattr(file, LABEL) == b"system_u:object_r:net_conf_t:s0\0"


def test_without_labels_none_is_made(tmp_path: Path) -> None:
    Tree(tmp_path).write("/etc/net", "new")
    assert LABEL not in os.listxattr(tmp_path / "etc/net")
