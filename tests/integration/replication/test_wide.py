"""Directories with more names than a frame has room for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dtesx.wire.frames import MAX_TABLE

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration

_LONGEST = 255


@pytest.mark.parametrize("kind", ["files", "symlinks"])
def test_what_takes_many_frames_to_tell_of_arrives(site: Site, kind: str) -> None:
    names = [f"{number:0{_LONGEST}}" for number in range(MAX_TABLE // _LONGEST)]
    fd = os.open(site.source, os.O_RDONLY)
    for name in names:
        os.mknod(name, 0o100600, dir_fd=fd) if kind == "files" else os.symlink("x", name, dir_fd=fd)
    os.close(fd)
    stats = site.mirror()
    assert (stats.problems, stats.files_sent) == ((), len(names))
    assert sorted(os.listdir(site.target)) == names
    assert site.mirror().files_sent == 0
