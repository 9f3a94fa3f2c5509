from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.mirror.catalogue import Catalogue, Record, open_catalogue
from dtesx.mirror.diff import walking_order

paths = st.lists(
    st.lists(st.sampled_from([b"a", b"a-", b"b", b"z"]), max_size=3).map(b"/".join), unique=True
).map(lambda found: sorted(found, key=walking_order))


def record(path: bytes) -> Record:
    return Record(path, b"s" * 16, b"c" * 16, len(path), 7, 0)


def filled(file: Path, root: int, known: list[bytes]) -> None:
    catalogue = Catalogue(file, root)
    for path in known:
        catalogue.note(record(path))
    catalogue.keep()
    catalogue.close()


def found(file: Path, root: int, asked: list[bytes]) -> dict[bytes, Record]:
    catalogue = Catalogue(file, root)
    answers = {path: catalogue.find(path) for path in asked}
    catalogue.close()
    return {path: answer for path, answer in answers.items() if answer is not None}


@pytest.fixture
def root(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)


@settings(deadline=None)
@given(paths, paths)
def test_records_are_found_in_walking_order(known: list[bytes], asked: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = os.open(scratch, os.O_RDONLY)
        filled(Path(scratch) / "c", root, known)
        expected = {path: record(path) for path in asked if path in known}
        assert found(Path(scratch) / "c", root, asked) == expected
        os.close(root)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damage_costs_records_and_invents_none(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "c"
        root = os.open(scratch, os.O_RDONLY)
        known = [b"%06d" % number for number in range(600)]
        filled(file, root, known)
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            del content[at:]
        else:
            content[at : at + 8] = data.draw(st.binary(min_size=1, max_size=20))
        file.write_bytes(content)
        answers = found(file, root, known)
        assert all(answer == record(path) for path, answer in answers.items())
        os.close(root)


def test_others_do_not_see_with_our_eyes(tmp_path: Path, root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "c", root, [b"a"])
    assert found(tmp_path / "c", root, [b"a"])
    (tmp_path / "other").mkdir()
    other = os.open(tmp_path / "other", os.O_RDONLY)
    assert not found(tmp_path / "c", other, [b"a"])
    monkeypatch.setattr("dtesx.mirror.catalogue.os.geteuid", lambda: 12345)
    assert not found(tmp_path / "c", root, [b"a"])


def test_the_old_one_stays_until_the_new_one_is_whole(tmp_path: Path, root: int) -> None:
    filled(tmp_path / "c", root, [b"a"])
    catalogue = Catalogue(tmp_path / "c", root)
    catalogue.note(record(b"b"))
    catalogue.close()
    assert found(tmp_path / "c", root, [b"a", b"b"]).keys() == {b"a"}
    assert os.listdir(tmp_path) == ["c"]


def test_no_place_to_keep_it_is_no_error(tmp_path: Path, root: int) -> None:
    (tmp_path / "file").touch()
    filled(tmp_path / "file" / "c", root, [b"a"])
    assert not found(tmp_path / "file" / "c", root, [b"a"])


def test_a_missing_directory_is_made_private(tmp_path: Path, root: int) -> None:
    filled(tmp_path / "state" / "c", root, [b"a"])
    assert found(tmp_path / "state" / "c", root, [b"a"])
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    assert (tmp_path / "state" / "c").stat().st_mode & 0o077 == 0


def test_only_file_systems_that_tell_of_changes_have_one(tmp_path: Path, root: int) -> None:
    proc = os.open("/proc", os.O_RDONLY)
    assert open_catalogue(tmp_path / "c", proc) is None
    os.close(proc)
