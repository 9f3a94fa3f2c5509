"""``dtesx capture probe`` on this kernel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dtesx.base.errors import NotFound
from dtesx.capture import libbpf
from dtesx.capture.probe import probe
from dtesx.model.capture import Rung

pytestmark = pytest.mark.integration


def test_a_file_system_on_a_disk_is_watched(disk: Path) -> None:
    report = probe(str(disk))
    (found,) = report.probes
    assert found.rung is Rung.RANGES
    assert found.type in ("ext4", "xfs", "btrfs")
    assert (found.reason, found.hint) == ("", "")
    assert found.blind


def test_where_ebpf_is_refused_the_next_rung_says_why(ext4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf, "_LIBRARY", "libbpf.so.of-nobody")
    libbpf._library.cache_clear()
    try:
        (found,) = probe(str(ext4)).probes
    finally:
        libbpf._library.cache_clear()
    assert found.rung is Rung.EVENTS
    assert "libbpf is not installed" in found.reason
    assert "install" in found.hint


def test_what_cannot_be_watched_says_why() -> None:
    (found,) = probe("/proc").probes
    assert (found.rung, found.type) == (Rung.SCANS, "proc")
    assert found.reason == "this file system has no file handles"
    assert found.hint


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        probe(str(tmp_path / "missing"))


def _dtesx(*arguments: str) -> str:
    argv = [sys.executable, "-m", "dtesx", "capture", "probe", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_the_command_shows_it(disk: Path) -> None:
    text = _dtesx(str(disk), "/proc")
    assert "rung A" in text
    assert "cannot see flags set by chattr" in text
    assert "rung C" in text
    document = json.loads(_dtesx(str(disk), "--json"))
    assert [found["rung"] for found in document["probes"]] == ["A"]


def test_without_paths_all_file_systems_are_probed() -> None:
    assert json.loads(_dtesx("--json"))["kernel"]
