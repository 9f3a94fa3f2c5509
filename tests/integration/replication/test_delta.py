"""Changed large files: only what differs travels, and the file is never seen half changed."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from dtesx.apply import copying, incoming, staging
from dtesx.apply.copying import Original
from dtesx.base.run import run, spawn
from dtesx.mirror.content import extents
from dtesx.model.mirror import Compare, MirrorOptions

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration

MIB = 1 << 20
COPY = MirrorOptions()
IN_PLACE = MirrorOptions(in_place=True)


def _write(path: Path, *parts: tuple[int, bytes]) -> None:
    with path.open("r+b") as file:
        for offset, data in parts:
            file.seek(offset)
            file.write(data)


def _same(site: Site, *names: str) -> bool:
    argv = ["rsync", "-aHAXcn", "--delete", "--itemize-changes", f"{site.source}/", f"{site.target}/"]
    print(changes := run(argv).text)
    return changes == ""


def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change what is larger than 1 MiB by journals, as where a file system shares no blocks."""
    monkeypatch.setattr(staging, "_clones", lambda _new, _old: False)
    monkeypatch.setattr(staging, "_SYNCS_PAY", MIB)


def _unpatched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_SYNCS_PAY", 1 << 62)


@pytest.fixture(params=["made anew", "patched", "in place"])
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> MirrorOptions:
    """The ways in which a file is changed."""
    (_patched if request.param == "patched" else _unpatched)(monkeypatch)
    return IN_PLACE if request.param == "in place" else COPY


def test_scattered_changes_alone_travel(
    site: Site, request: pytest.FixtureRequest, options: MirrorOptions
) -> None:
    (site.source / "big").write_bytes(os.urandom(40 * MIB + 777))
    (site.source / "other").write_bytes(os.urandom(MIB))
    site.mirror()
    inode = (site.target / "big").stat().st_ino
    _write(site.source / "big", (0, b"x"), (9 * MIB + 5, b"y"), (20 * MIB - 1, b"zz"), (40 * MIB, b"e" * 700))
    stats = site.mirror(options=options)
    assert _same(site)
    assert (stats.files_sent, stats.files_skipped) == (1, 1)
    assert stats.bytes_sent == 5 * 4096 - 4096 + 777
    assert stats.bytes_sent + stats.bytes_skipped == stats.bytes_total
    assert stats.bytes_wire < 40_000 + stats.bytes_sent
    anew = request.node.callspec.params["options"] == "made anew"
    assert ((site.target / "big").stat().st_ino != inode) is anew
    assert list(site.target.glob(".dtesx*")) == []


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(os.urandom(3 * MIB + 5))


def _holes(path: Path) -> None:
    run(["fallocate", "-p", "-o", str(MIB), "-l", str(2 * MIB), str(path)])
    os.utime(path)


def _into_a_hole(path: Path) -> None:
    _write(path, (13 * MIB, b"island"))


def _touch(path: Path) -> None:
    os.utime(path, ns=(5, 5))


def _all_new(path: Path) -> None:
    path.write_bytes(os.urandom(5 * MIB))


CHANGES: list[Callable[[Path], None]] = [
    _grow,
    _holes,
    _into_a_hole,
    _touch,
    _all_new,
    lambda path: os.truncate(path, 3 * MIB + 100),
    lambda path: os.truncate(path, 30 * MIB),
    lambda path: os.truncate(path, 1000),
]


def _insert(path: Path, *places: int) -> None:
    old = path.read_bytes()
    for place in sorted(places, reverse=True):
        old = old[:place] + os.urandom(1000) + old[place:]
    path.write_bytes(old)


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (lambda path: _insert(path, 0), MIB // 16),
        (lambda path: _insert(path, 17 * MIB + 5), MIB // 8),
        (lambda path: _insert(path, *range(0, 36 * MIB, 3 * MIB)), MIB // 2),
        (lambda path: path.write_bytes(path.read_bytes()[5 * MIB + 1 :]), MIB // 8),
        (lambda path: path.write_bytes(path.read_bytes()[20 * MIB + 9 :] * 2), MIB // 8),
        (
            lambda path: path.write_bytes((path.read_bytes() * 2)[20 * MIB : 60 * MIB]),
            MIB // 2,
        ),
    ],
    ids=["front", "middle", "scattered", "removed", "twice", "swapped"],
)
@pytest.mark.parametrize("patched", [False, True])
def test_what_was_moved_within_a_file_does_not_travel(
    site: Site, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], most: int, patched: bool
) -> None:
    (_patched if patched else _unpatched)(monkeypatch)
    path = site.source / "file"
    path.write_bytes(os.urandom(40 * MIB))
    (site.source / "zzz").write_bytes(os.urandom(9 * MIB))
    site.mirror()
    change(path)
    _write(site.source / "zzz", (2 * MIB, b"changed"))
    stats = site.mirror()
    assert _same(site)
    assert stats.bytes_sent < most
    assert stats.bytes_sent + stats.bytes_skipped == stats.bytes_total
    assert site.mirror().files_sent == 0


def test_a_file_of_which_much_changes_is_made_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went to a journal goes to a new file when that is known; holes and the rest are kept."""
    _patched(monkeypatch)
    monkeypatch.setattr(incoming, "_LITTLE", MIB)
    path = site.source / "file"
    path.write_bytes(os.urandom(40 * MIB))
    site.mirror()
    inode = (site.target / "file").stat().st_ino
    run(["fallocate", "-p", "-o", str(9 * MIB), "-l", str(2 * MIB), str(path)])
    _write(path, (MIB, b"x"), (15 * MIB, os.urandom(10 * MIB)), (39 * MIB, b"y"))
    stats = site.mirror()
    assert _same(site)
    assert stats.problems == ()
    assert 10 * MIB <= stats.bytes_sent <= 11 * MIB
    assert (site.target / "file").stat().st_ino != inode
    assert (site.target / "file").stat().st_blocks <= path.stat().st_blocks + 16
    assert list(site.target.glob(".dtesx*")) == []


def test_a_program_that_runs_is_replaced(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be written to it, so it cannot be patched."""
    _patched(monkeypatch)
    program = site.source / "sleep"
    program.write_bytes(Path("/bin/sleep").read_bytes() + bytes(2 * MIB))
    program.chmod(0o755)
    site.mirror()
    _write(program, (MIB, b"changed"))
    running = spawn([str(site.target / "sleep"), "60"])
    try:
        assert site.mirror().problems == ()
    finally:
        running.kill()
        running.wait()
    assert _same(site)


def test_holes_stay_holes_in_a_file_that_was_moved(site: Site) -> None:
    path = site.source / "file"
    with path.open("wb") as file:
        file.write(content := os.urandom(4 * MIB))
        file.seek(12 * MIB)
        file.write(content[::-1])
    site.mirror()
    with path.open("wb") as file:
        file.write(b"new" + content)
        file.seek(10 * MIB)
        file.write(content[::-1])
        file.truncate(15 * MIB)
    stats = site.mirror()
    assert _same(site)
    assert stats.bytes_sent < MIB // 4
    assert (site.target / "file").stat().st_blocks <= path.stat().st_blocks + 16


@pytest.mark.parametrize("change", CHANGES)
def test_shapes(site: Site, change: Callable[[Path], None], options: MirrorOptions) -> None:
    path = site.source / "file"
    with path.open("wb") as file:
        file.write(os.urandom(4 * MIB + 50))
        file.seek(12 * MIB)
        file.write(os.urandom(2 * MIB))
        file.truncate(20 * MIB)
    site.mirror()
    change(path)
    stats = site.mirror(options=options)
    assert _same(site)
    assert stats.problems == ()
    assert stats.bytes_sent + stats.bytes_skipped == stats.bytes_total
    assert (site.target / "file").stat().st_blocks <= path.stat().st_blocks + 16
    assert site.mirror(options=options).files_sent == 0


@pytest.fixture(params=["xfs", "btrfs"])
def sharing(request: pytest.FixtureRequest, bare_site: Site, tmp_path: Path) -> Iterator[Site]:
    """A site whose target is on a file system that shares blocks between files."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(400 * MIB)
    run([f"mkfs.{request.param}", "-q", str(image)])
    run(["mount", "-o", "loop", str(image), str(bare_site.target)])
    try:
        (bare_site.target / "root").mkdir()
        with bare_site.receiver({"/data": bare_site.target / "root"}):
            bare_site.target /= "root"
            yield bare_site
            bare_site.target = bare_site.target.parent
    finally:
        run(["umount", str(bare_site.target)])


def test_shapes_of_a_file_that_shares_its_blocks(sharing: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(len(CHANGES)):
        with (sharing.source / f"{number}").open("wb") as file:
            file.write(os.urandom(4 * MIB + 50))
            file.seek(12 * MIB)
            file.write(os.urandom(2 * MIB))
            file.truncate(20 * MIB)
    sharing.mirror()
    for number, change in enumerate(CHANGES):
        change(sharing.source / f"{number}")
    monkeypatch.setattr(staging, "write_at", _never)
    stats = sharing.mirror()
    assert stats.problems == ()
    assert _same(sharing)
    for path in sharing.source.iterdir():
        assert _data(sharing.target / path.name) <= _data(path) + (64 << 10)
    assert sharing.mirror().files_sent == 0


def _data(path: Path) -> int:
    """Bytes that are no holes; blocks that a file system keeps in reserve do not count."""
    with path.open("rb") as file:
        return sum(end - start for start, end in extents(file.fileno(), path.stat().st_size))


def _never(*arguments: object) -> NoReturn:
    raise AssertionError(arguments)


def _changed(site: Site) -> None:
    """Two files of which little has changed: one at once, one late."""
    for name in ("early", "late"):
        (site.source / name).write_bytes(os.urandom(30 * MIB + 5))
    site.mirror()
    for name, offset in (("early", 5), ("late", 20 * MIB)):
        _write(site.source / name, (offset, b"changed"), (29 * MIB, b"changed"))


def test_what_was_compared_is_not_read_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _changed(site)
    copied: list[int] = []
    before = Original.copy

    def copy(self: Original, new: int, start: int, offset: int, length: int) -> None:
        copied.append(length)
        before(self, new, start, offset, length)

    monkeypatch.setattr(Original, "copy", copy)
    stats = site.mirror()
    assert _same(site)
    assert stats.bytes_sent == 4 * 4096
    assert sum(copied) == 16 * MIB  # of the late one, what was compared before the first difference


@pytest.mark.parametrize("spared", [0, 3])
def test_no_room_to_stage(site: Site, monkeypatch: pytest.MonkeyPatch, spared: int) -> None:
    _changed(site)
    written: list[int] = []

    def write_at(fd: int, data: memoryview, offset: int) -> None:
        written.append(offset)
        if len(written) > spared:
            raise OSError(errno.ENOSPC, "no space")
        copying.write_at(fd, data, offset)

    monkeypatch.setattr(staging, "write_at", write_at)
    assert site.mirror().problems == ()
    assert _same(site)
    assert len(written) > spared


def test_no_files_without_names(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _changed(site)
    monkeypatch.setattr(staging, "_NEW", os.O_RDWR | os.O_DIRECTORY)  # fails with EISDIR
    assert site.mirror().problems == ()
    assert _same(site)


def test_a_touched_file_is_not_written_again(site: Site) -> None:
    (site.source / "file").write_bytes(os.urandom(MIB))
    site.mirror()
    inode = (site.target / "file").stat().st_ino
    os.utime(site.source / "file")
    stats = site.mirror()
    assert (stats.files_sent, stats.bytes_sent) == (1, 0)
    assert (site.target / "file").stat().st_ino == inode
    assert _same(site)


def test_many_changed_files_in_many_directories(site: Site) -> None:
    rng = random.Random(1)
    for number in range(150):
        directory = site.source / f"d{number % 13}" / f"e{number % 3}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number}").write_bytes(rng.randbytes(300_000 + number))
    site.mirror()
    for path in site.source.rglob("f*"):
        _write(path, (rng.randrange(300_000), b"!"))
    for number in range(20):  # files that travel whole come between
        (site.source / f"d{number % 13}" / f"f{number}x").write_bytes(rng.randbytes(500_000))
    stats = site.mirror()
    assert _same(site)
    assert stats.problems == ()
    assert stats.files_sent == 170
    assert stats.bytes_sent <= 20 * 500_000 + 150 * 4096
    assert site.mirror().files_sent == 0


@pytest.mark.parametrize("options", [MirrorOptions(Compare.DATA), MirrorOptions(Compare.DATA, in_place=True)])
def test_content_is_compared_when_asked(site: Site, rich: Path, options: MirrorOptions) -> None:
    os.link(rich / "large", rich / "group" / "large-too")
    site.mirror()
    assert site.mirror(options=options).files_sent == 0
    for name in ("small", "middle", "large", "sparse", "hole"):
        path = site.target / name
        before = path.stat()
        with path.open("r+b") as file:
            file.seek(before.st_size // 3)
            file.write(b"#")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert site.differences() == ""
    assert site.mirror().files_sent == 0
    stats = site.mirror(options=options)
    assert stats.problems == ()
    assert _same(site)
    assert stats.bytes_sent <= 6 + 3 * 4096 + 200_000
    assert site.mirror(options=options).files_sent == 0


def test_hard_links_of_changed_files(site: Site) -> None:
    for name in ("a", "b"):
        (site.source / name).write_bytes(os.urandom(2 * MIB))
    os.link(site.source / "a", site.source / "z")
    site.mirror()
    (site.target / "b").unlink()
    os.link(site.target / "a", site.target / "b")
    for name in ("a", "b"):
        _write(site.source / name, (5000, b"changed"))
    stats = site.mirror()
    assert stats.problems == ()
    assert _same(site)
    assert site.mirror().files_sent == 0


def test_only_newer_files_when_asked(site: Site) -> None:
    for name in ("older", "newer", "same-time"):
        (site.source / name).write_bytes(b"1" * MIB)
        (site.target / name).write_bytes(b"2" * (MIB + 1))
        os.utime(site.source / name, ns=(10**18, 10**18))
    for name, when in (("older", 10**18 + 1), ("newer", 10**18 - 1), ("same-time", 10**18)):
        os.utime(site.target / name, ns=(when, when))
    (site.source / "absent").write_bytes(b"3")
    stats = site.mirror(options=MirrorOptions(newer_only=True))
    assert (stats.files_sent, stats.files_skipped) == (2, 2)
    assert {path.name: path.read_bytes()[:1] for path in site.target.iterdir()} == {
        "absent": b"3",
        "newer": b"1",
        "older": b"2",
        "same-time": b"2",
    }


def test_a_file_that_changes_on_the_target_meanwhile_is_sent_whole_or_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dtesx.replication.summing import Summing

    (site.source / "file").write_bytes(os.urandom(20 * MIB))
    site.mirror()
    _write(site.source / "file", (MIB, b"changed"), (19 * MIB, b"changed"))
    before = Summing.answer
    answered: list[int] = []

    def meddling(self: Summing) -> object:
        answered.append(1)
        if len(answered) == 2:
            _write(site.target / "file", (0, b"meddled"))
        return before(self)

    monkeypatch.setattr(Summing, "answer", meddling)
    site.mirror()
    site.mirror()
    assert _same(site)
