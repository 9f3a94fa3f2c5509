"""Files that change without an event, where no eBPF program sees it (rung B)."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtesx.base.run import run
from dtesx.capture.capture import Capture
from dtesx.capture.changes import Changes

from .conftest import NAME, Watch, Watched, opened

pytestmark = pytest.mark.integration


@contextmanager
def _mapped(path: Path, protection: int = mmap.PROT_READ | mmap.PROT_WRITE) -> Iterator[mmap.mmap]:
    fd = os.open(path, os.O_RDWR)
    try:
        mapped = mmap.mmap(fd, 0, prot=protection)
    finally:
        os.close(fd)
    with mapped:
        yield mapped


def test_a_mapped_file_is_told_with_each_drain_and_once_afterwards(names: Watched) -> None:
    with _mapped(names.path / "file") as mapped:
        for number in range(3):
            mapped[70_000] = number
            assert names.drain() == Changes(written={b"": {b"file"}})
    assert names.drain() == Changes(written={b"": {b"file"}})
    assert names.drain() == Changes()


def test_a_file_that_is_mapped_for_reading_is_not_told(names: Watched) -> None:
    with _mapped(names.path / "file", mmap.PROT_READ):
        assert names.drain() == Changes()


def test_where_byte_ranges_are_known_nothing_is_swept(ranges: Watched) -> None:
    with _mapped(ranges.path / "file") as mapped:
        assert ranges.drain() == Changes()
        mapped[0] = 1
        assert ranges.drain().written == {}


def test_a_mapped_file_is_told_by_the_name_that_it_has_now(names: Watched) -> None:
    with _mapped(names.path / "dir" / "other"):
        (names.path / "dir").rename(names.path / "moved\nwith a line")
        assert names.drain().written == {b"moved\nwith a line": {b"other"}}


def test_of_several_roots_each_is_told_what_is_below_it(ext4: Path) -> None:
    for name in ("one", "two"):
        (ext4 / name).mkdir()
        (ext4 / name / "file").write_bytes(bytes(4096))
    with opened(ext4 / "one") as one, opened(ext4 / "two") as two, Capture(ranges=False) as capture:
        capture.watch("one", one)
        capture.watch("two", two)
        with _mapped(ext4 / "two" / "file"):
            assert capture.drain() == {"two": Changes(written={b"": {b"file"}})}


def test_a_removed_file_that_is_still_mapped_is_not_told(names: Watched) -> None:
    with _mapped(names.path / "file"):
        (names.path / "file").unlink()
        assert names.drain() == Changes(names={b"": {b"file"}})


def test_files_of_other_file_systems_are_not_told(names: Watched, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(bytes(4096))
    with _mapped(tmp_path / "elsewhere"):
        assert names.drain() == Changes()


def test_subvolumes_are_told_apart(btrfs: Path, watch: Watch) -> None:
    run(["btrfs", "subvolume", "create", str(btrfs / "one")])
    (btrfs / "one" / "file").write_bytes(bytes(4096))
    run(["btrfs", "subvolume", "snapshot", str(btrfs / "one"), str(btrfs / "two")])
    watched = watch(btrfs)
    with _mapped(btrfs / "two" / "file"):
        assert watched.drain() == Changes(written={b"two": {b"file"}})


def test_a_file_system_without_disk_is_swept(tmp_path: Path, watch: Watch) -> None:
    where = tmp_path / "tmpfs"
    where.mkdir()
    run(["mount", "-t", "tmpfs", "none", str(where)])
    try:
        (where / "file").write_bytes(bytes(4096))
        watched = watch(where)
        with _mapped(where / "file"):
            assert watched.drain() == Changes(written={b"": {b"file"}})
    finally:
        run(["umount", "--lazy", str(where)])


def test_what_ignored_processes_map_is_not_told(ext4: Path) -> None:
    (ext4 / "file").write_bytes(bytes(4096))
    with opened(ext4) as fd, Capture(ranges=False, ignored=[os.getpid()]) as capture:
        capture.watch(NAME, fd)
        with _mapped(ext4 / "file"):
            assert capture.drain() == {}


_ASYNCHRONOUS = r"""
import ctypes, os, sys
fds = [os.open(sys.argv[1], flags) for flags in (os.O_RDWR, os.O_RDONLY)]
context = ctypes.c_ulong()
assert ctypes.CDLL(None).syscall(206, 8, ctypes.byref(context)) == 0  # io_setup(2)
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of a system call")
def test_what_may_be_written_asynchronously_is_told(names: Watched) -> None:
    argv = [sys.executable, "-c", _ASYNCHRONOUS, str(names.path / "file")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        writer.stdout.readline()
        for _ in range(2):
            assert names.drain() == Changes(written={b"": {b"file"}})
        writer.communicate()
    assert names.drain() == Changes(written={b"": {b"file"}})
    assert names.drain() == Changes()


def test_what_is_behind_a_loop_device_is_told(ext4: Path, watch: Watch) -> None:
    (ext4 / "image").write_bytes(bytes(1 << 20))
    watched = watch(ext4)
    device = os.fsdecode(run(["losetup", "--show", "--find", str(ext4 / "image")]).stdout.strip())
    try:
        for _ in range(2):
            assert watched.drain() == Changes(written={b"": {b"image"}})
    finally:
        run(["losetup", "--detach", device])
    assert watched.drain() == Changes(written={b"": {b"image"}})
    assert watched.drain() == Changes()


def test_what_is_behind_a_loop_device_for_reading_is_not_told(ext4: Path, watch: Watch) -> None:
    (ext4 / "image").write_bytes(bytes(1 << 20))
    watched = watch(ext4)
    device = os.fsdecode(
        run(["losetup", "--show", "--find", "--read-only", str(ext4 / "image")]).stdout.strip()
    )
    try:
        assert watched.drain() == Changes()
    finally:
        run(["losetup", "--detach", device])


def test_a_mapped_file_of_a_bind_mount_is_told(ext4: Path, tmp_path: Path, watch: Watch) -> None:
    (ext4 / "inner").mkdir()
    (ext4 / "inner" / "file").write_bytes(bytes(4096))
    bound = tmp_path / "bound"
    bound.mkdir()
    run(["mount", "--bind", str(ext4 / "inner"), str(bound)])
    try:
        watched = watch(ext4)
        with _mapped(bound / "file"):
            assert watched.drain() == Changes(written={b"inner": {b"file"}})
    finally:
        run(["umount", "--lazy", str(bound)])


def _renamed(path: Path) -> Path:
    return path.rename(path.parent / "dir" / "renamed")


def _with_its_directory(path: Path) -> Path:
    return path.parent.rename(path.parent.with_name("moved")) / path.name


@pytest.mark.parametrize("moved", [_renamed, _with_its_directory])
def test_what_moves_before_anybody_looks_is_told_again(names: Watched, moved: Callable[[Path], Path]) -> None:
    """What was told of it by its old path, nobody found there."""
    (names.path / "top").mkdir()
    (names.path / "top" / "dir").mkdir()
    path = names.path / "top" / "file"
    path.write_bytes(bytes(70_000))
    names.drain()
    with _mapped(path):
        pass
    assert names.drain().written == {b"top": {b"file"}}
    path = moved(path)
    relative = path.relative_to(names.path)
    assert os.fsencode(relative.name) in names.drain().written.get(os.fsencode(relative.parent), set())
    assert names.drain() == Changes()


def test_what_is_written_and_moves_twice_is_told_by_where_it_is_now(names: Watched) -> None:
    (names.path / "file").write_bytes(b"other")
    (names.path / "file").rename(names.path / "once")
    assert names.drain().written[b""] >= {b"once"}
    (names.path / "once").rename(names.path / "twice")
    assert names.drain().written == {b"": {b"twice"}}
    (names.path / "twice").rename(names.path / "thrice")
    assert names.drain().written == {b"": {b"thrice"}}
    assert names.drain() == Changes()
