from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtesx.base import files


def test_a_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    files.write_atomic(path, b"new", mode=0o640)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("write", [files.write_atomic, files.replace_volatile])
def test_a_failure_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: object
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write(path, b"new")  # type: ignore[operator]
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_private_directory_is_closed_to_others(tmp_path: Path) -> None:
    made = files.private_directory(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
