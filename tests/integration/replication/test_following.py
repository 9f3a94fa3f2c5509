"""What a follower tells of files that were written where nobody looked."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.mirror import content
from dtesx.replication.continuous import following
from dtesx.replication.continuous.following import Follower
from tests.integration.capture.conftest import mounted, opened

pytestmark = pytest.mark.integration

PAGE = 4096
SIZE = 600_000  # ends within a page


Drain = Callable[[], object]


def _renamed(disk: Path, drain: Drain) -> Path:
    (disk / "outside").write_bytes(os.urandom(SIZE))
    drain()
    (disk / "outside").rename(disk / "root/file")
    return disk / "root/file"


def _linked(disk: Path, drain: Drain) -> Path:
    with open(os.open(disk / "root", os.O_TMPFILE | os.O_WRONLY), "wb") as file, opened(Path("/")) as top:
        file.write(os.urandom(SIZE))
        file.flush()
        drain()
        os.link(f"/proc/self/fd/{file.fileno()}", disk / "root/file", src_dir_fd=top, follow_symlinks=True)
    return disk / "root/file"


def _in_a_tree(disk: Path, drain: Drain) -> Path:
    (disk / "tree").mkdir()
    (disk / "tree/file").write_bytes(os.urandom(SIZE))
    drain()
    (disk / "tree").rename(disk / "root/tree")
    return disk / "root/tree/file"


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize("made", [_renamed, _linked, _in_a_tree])
def test_what_is_added_to_a_file_that_appeared_is_told(
    tmp_path: Path, kind: str, made: Callable[[Path, Drain], Path]
) -> None:
    with mounted(kind, tmp_path / "disk") as disk:
        (disk / "root").mkdir()
        with Follower(["/data"], lambda _root: opened(disk / "root")) as follower:
            follower.drain()
            path = made(disk, follower.drain)
            appeared = follower.drain()["/data"]
            assert any(appeared.names.values())
            with path.open("ab") as file:
                file.write(os.urandom(PAGE))
            changes = follower.drain()["/data"]
    relative = os.fsencode(path.relative_to(disk / "root"))
    (start, _), *_ = changes.spans.get(relative, ((0, 0),))
    assert start <= SIZE


def test_devices_are_not_opened(tmp_path: Path) -> None:
    """That may do something: rewind a tape, start a watchdog."""
    told: list[bytes] = []

    @contextmanager
    def noting(name: bytes, directory: int) -> Iterator[tuple[int, os.stat_result]]:
        told.append(name)
        with content.opened(name, directory) as found:
            yield found

    with (
        mounted("ext4", tmp_path / "disk") as disk,
        Follower(["/data"], lambda _root: opened(disk)) as follower,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(following, "opened", noting)
        os.mknod(disk / "device", 0o20600, os.makedev(1, 3))
        with (disk / "file").open("w+b") as file:
            file.truncate(PAGE)
            with mmap.mmap(file.fileno(), PAGE) as stores:
                stores[0] = 1
        assert follower.drain()["/data"].names[b""].keys() == {b"device", b"file"}
    assert told == [b"file"]


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_what_was_written_is_told_as_long_as_it_moves_before_anybody_looks(tmp_path: Path, kind: str) -> None:
    with mounted(kind, tmp_path / "disk") as disk:
        (disk / "dir").mkdir()
        (disk / "dir/file").write_bytes(bytes(SIZE))
        os.link(disk / "dir/file", disk / "other")
        run(["umount", str(disk)])  # the kernel has no name at hand that nobody used
        run(["mount", "-o", "loop", str(disk.with_suffix(".img")), str(disk)])
        with Follower(["/data"], lambda _root: opened(disk)) as follower:
            follower.drain()
            with (disk / "dir/file").open("r+b") as file:
                inode = os.fstat(file.fileno()).st_ino
                file.write(os.urandom(PAGE))
            assert b"file" in follower.drain()["/data"].names[b"dir"]
            (disk / "dir/file").rename(disk / "dir/once")
            assert b"once" in follower.drain()["/data"].names[b"dir"]
            (disk / "dir/once").unlink()
            assert inode in follower.drain()["/data"].inodes
