from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict, DtesxError
from dtesx.model.roots import SourceRoot
from dtesx.replication.binding import Binding

SEEN = SourceRoot("/srv/www", 12, "ab", 3)


def test_a_place_belongs_to_who_came_first(tmp_path: Path) -> None:
    file = tmp_path / "www.json"
    Binding(file, "AA").claim()
    Binding(file, "AA").claim()
    with pytest.raises(Conflict) as caught:
        Binding(file, "BB").claim()
    assert str(file) in caught.value.hint
    file.unlink()
    Binding(file, "BB").claim()


def test_what_was_seen_last_is_kept(tmp_path: Path) -> None:
    binding = Binding(tmp_path / "www.json", "AA", one_root=True)
    assert binding.last("/srv/www") is None
    binding.claim()
    binding.bind(SEEN)
    assert Binding(tmp_path / "www.json", "AA", one_root=True).last("/other") == SEEN
    moved = replace(SEEN, path="/other")
    binding.bind(moved)
    assert binding.last("/srv/www") == moved
    with pytest.raises(Conflict):
        Binding(tmp_path / "www.json", "BB").claim()


def test_the_roots_of_a_job_are_kept_apart(tmp_path: Path) -> None:
    binding = Binding(tmp_path / "roots.json")
    home = replace(SEEN, path="/home")
    for seen in (SEEN, home, replace(home, names=9)):
        binding.bind(seen)
    assert binding.last("/srv/www") == SEEN
    assert binding.last("/home") == replace(home, names=9)
    assert binding.last("/") is None


def test_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    file = tmp_path / "www.json"
    binding = Binding(file, "AA", one_root=True)
    binding.bind(SEEN)
    before = file.stat()
    binding.bind(SEEN)
    assert file.stat().st_ino == before.st_ino


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "www.json"
    file.write_text("{")
    with pytest.raises(DtesxError) as caught:
        Binding(file, "AA").claim()
    assert str(file) in caught.value.hint + caught.value.message
