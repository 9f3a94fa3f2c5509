"""Epochs of one moment: whatever is written at the time, the replica holds what there was at one instant."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.replication.conftest import Site

from .conftest import BRIEFLY, file_system
from .watching import FUZZY, replicating, report, writing

pytestmark = pytest.mark.integration

_STEPS = """
import mmap, os, struct, sys
os.chdir(sys.argv[1])
size = 8 << 20
for name in "ab":
    with open(name, "wb") as file:
        file.write(bytes(size))
files = [os.open(name, os.O_RDWR) for name in "ab"]
stores = []
for name in "cd":
    with open(name, "w+b") as file:
        file.truncate(size)
        stores.append(mmap.mmap(file.fileno(), size))
os.mkdir("x")
os.mkdir("y")
open("x/0", "w").close()
for count in range(1, 1 << 40):
    word = struct.pack("q", count)
    # Not one page all the time: what is dirty already would hide much.
    at = 4096 * (count * 37 % (size // 4096))
    for fd in files:
        os.pwrite(fd, word, 0)
        os.pwrite(fd, word, at | 8)
    for store in stores:
        store[0:8] = word
        store[at | 8 : at | 16] = word
    here, there = ("x", "y") if count % 2 else ("y", "x")
    os.rename(f"{here}/{count - 1}", f"{there}/{count}")
    with open("small.new", "wb") as file:
        file.write(word)
    os.rename("small.new", "small")
"""


def steps(replica: Path) -> int:
    """Check that a replica is what the writer of steps had made at one instant; returns the step."""
    found = []
    for name in "abcd":
        with (replica / name).open("rb") as file:
            found.append(struct.unpack("q", file.read(8))[0])
    (token,) = [path for place in "xy" for path in (replica / place).iterdir()]
    assert token.parent.name == "yx"[int(token.name) % 2 == 0]
    found.append(int(token.name))
    small = replica / "small"
    found.append(struct.unpack("q", small.read_bytes())[0] if small.exists() else 0)
    assert found == sorted(found, reverse=True), found
    assert found[0] - found[-1] <= 1, found
    _all_pages(replica, found[:4])
    return int(token.name)


def _all_pages(replica: Path, counts: list[int]) -> None:
    """Every page of the files has the last step that fell on it, or the one that was just being made."""
    for name, count in zip("abcd", counts, strict=True):
        data = (replica / name).read_bytes()
        pages = len(data) // 4096
        last = {step * 37 % pages: step for step in range(max(1, count - pages + 1), count + 1)}
        for page, step in last.items():
            had = struct.unpack_from("q", data, 4096 * page + 8)[0]
            assert had in ((step,) if step != count else (step, max(0, step - pages))), (name, page)


def test_all_is_of_one_instant(mounted: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        stack.enter_context(writing(_STEPS, mounted.source, "small"))
        watched = stack.enter_context(
            replicating(mounted, monkeypatch, lambda replica: seen.append(steps(replica)))
        )
        watched.for_a_while()
    assert seen == sorted(seen)
    report(watched, len(seen))


@BRIEFLY
def test_what_is_fuzzy_is_found_out(mounted: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: of an epoch that is not of one moment, the same check says so."""
    failed: list[Exception] = []

    def check(replica: Path) -> None:
        try:
            steps(replica)
        except (AssertionError, ValueError) as error:
            failed.append(error)

    with ExitStack() as stack:
        stack.enter_context(mounted.receiver())
        stack.enter_context(writing(_STEPS, mounted.source, "small"))
        watched = stack.enter_context(replicating(mounted, monkeypatch, check, every=0.0, kinds=FUZZY))
        watched.until(lambda: bool(failed))


_IN_TURN = """
import os, struct, sys
files = [os.open(os.path.join(place, "file"), os.O_RDWR | os.O_CREAT) for place in sys.argv[1:]]
for count in range(1, 1 << 40):
    for fd in files:
        os.pwrite(fd, struct.pack("q", count), 4096 * (count % 1000))
"""


def _latest(replica: Path) -> int:
    data = (replica / "file").read_bytes()
    return max(int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 4096))


@BRIEFLY
def test_several_file_systems_share_the_instant(
    mounted: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other, replica, seen = tmp_path / "other", tmp_path / "other-replica", list[int]()
    other.mkdir()
    replica.mkdir()

    def check(first: Path) -> None:
        seen.append(_latest(first))
        assert seen[-1] - _latest(replica) in (0, 1)

    with ExitStack() as stack:
        stack.enter_context(file_system("xfs", tmp_path / "other.img", other))
        stack.enter_context(mounted.receiver({"/data": mounted.target, "/other": replica}))
        stack.enter_context(writing(_IN_TURN, mounted.source, "file", more=(other,)))
        watched = stack.enter_context(replicating(mounted, monkeypatch, check, more={"/other": other}))
        watched.for_a_while()
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]
