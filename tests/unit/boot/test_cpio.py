from __future__ import annotations

import gzip
import lzma
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.base.errors import DtesxError, UsageError
from dtesx.boot import cpio, initrd, lz4
from dtesx.boot.cpio import Member
from tests.unit.boot.golden import lz4_frame

NAMES = st.lists(st.text("abcxyz-.", min_size=1, max_size=9).filter(lambda n: n.strip(".")), min_size=1)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=99)), max_size=9))
def test_what_is_written_is_read(entries: list[tuple[list[str], bytes]]) -> None:
    members = [cpio.regular("/".join(parts), data) for parts, data in entries]
    archive = cpio.write(members)
    assert len(archive) % 4 == 0
    found = list(cpio.read(archive))
    assert [member for member, _ in found[:-1]] == members
    assert found[-1] == (None, len(archive))


def test_names_lose_their_leading_dot_and_slash_only() -> None:
    archive = cpio.write([Member("./etc/.hidden", 0o100644), Member(".", 0o40755), Member("/x", 0o100644)])
    assert [member.name for member, _ in cpio.read(archive) if member] == ["etc/.hidden", "", "x"]


@pytest.mark.parametrize("cut", [1, 50, 130])
def test_a_cut_archive_is_an_error(cut: int) -> None:
    archive = cpio.write([cpio.regular("name", b"content")])
    with pytest.raises(DtesxError, match="damaged"):
        list(cpio.read(archive[:-cut]))


EARLY = cpio.write([cpio.directory("kernel"), cpio.regular("kernel/microcode", b"m" * 5)])
MAIN = cpio.write([cpio.regular("init", b"#!"), Member("lib", stat.S_IFLNK | 0o777, b"usr/lib")])


def packed(how: str) -> bytes:
    if how == "zstd":
        zstandard = pytest.importorskip("zstandard")
        return bytes(zstandard.compress(MAIN))
    if how == "xz":
        return lzma.compress(MAIN)
    if how == "lz4":
        return lz4_frame(MAIN)
    return gzip.compress(MAIN) if how == "gzip" else MAIN


@pytest.mark.parametrize("how", ["gzip", "xz", "zstd", "lz4", "none"])
def test_early_part_main_part_and_appended_parts_are_one(how: str) -> None:
    data = EARLY + bytes(300) + packed(how)
    once = initrd.append(data, initrd.read(data), [cpio.regular("added", b"1")])
    twice = initrd.append(once, initrd.read(once), [cpio.regular("added", b"2")])
    assert twice.startswith(data)
    assert (len(data) + -len(data) % 4) % 4 == 0
    found = initrd.read(twice).members
    assert found.keys() == {"kernel", "kernel/microcode", "init", "lib", "added"}
    assert found["added"].data == b"2"


def test_what_follows_lz4_is_lz4() -> None:
    """A kernel before 5.9 stops with "Decoding failed" at anything else, zeros included."""
    data = EARLY + packed("lz4")
    once = initrd.append(data, initrd.read(data), [cpio.regular("added", bytes(9 << 20))])
    assert once.startswith(data + lz4.MAGIC)
    found = initrd.read(once)
    assert found.ends_in_lz4
    assert found.members["added"].data == bytes(9 << 20)
    assert found.members["init"].data == b"#!"


def test_appended_archives_are_aligned() -> None:
    for size in range(1, 9):
        data = gzip.compress(MAIN) + bytes(size)
        assert initrd.append(data, initrd.Initrd({}), []).index(b"070701", len(data)) % 4 == 0


def test_unreadable_compression_is_named() -> None:
    with pytest.raises(UsageError, match="lzo") as caught:
        initrd.read(b"\x89LZO" + bytes(9))
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"garbage" * 9, gzip.compress(MAIN)[:-9], packed("xz")[:40], packed("lz4")[:-9]]
)
def test_damage_is_named(data: bytes) -> None:
    with pytest.raises(DtesxError, match="damaged"):
        initrd.read(data)


def test_files_below_a_directory() -> None:
    found = initrd.Initrd({name: cpio.regular(name, b"") for name in ("a/b", "a/b/c", "ab", "a")})
    assert [member.name for member in found.files("a")] == ["a/b", "a/b/c"]
