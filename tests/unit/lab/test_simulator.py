from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from dtesx.base.errors import NotFound, UsageError
from dtesx.lab.simulator import SimulatorConfig, SimulatorUser
from dtesx.lab.simulator.build import build, fingerprint, sources


def config(directory: Path, hooks: Path | None = None) -> SimulatorConfig:
    return SimulatorConfig(
        address="192.0.2.1",
        port=443,
        datastore=directory / "datastore",
        certificate=directory / "crt",
        key=directory / "key",
        users=(SimulatorUser("admin", "secret"), SimulatorUser("look", "pw", "Viewer", ())),
        appliance_name="appliance",
        appliance_uuid="420f5f0a-1111-4222-8333-444455556666",
        control=directory / "control",
        hooks=hooks,
        netns="vcenter",
    )


def test_configuration_file(tmp_path: Path) -> None:
    written = json.loads(config(tmp_path).to_json())
    assert written["hooks"] == ""
    assert written["datastore"] == str(tmp_path / "datastore")
    assert "netns" not in written
    assert written["users"] == [
        {"name": "admin", "password": "secret", "role": "Admin", "privileges": None},
        {"name": "look", "password": "pw", "role": "Viewer", "privileges": []},
    ], "no privileges is not the same as all of them"
    assert json.loads(config(tmp_path, tmp_path / "hooks").to_json())["hooks"] == str(tmp_path / "hooks")


def test_socket_paths_must_fit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="longer than 107 bytes"):
        config(tmp_path, tmp_path / ("x" * 100))


def test_every_source_counts(tmp_path: Path) -> None:
    for name in ("a.go", "b.go"):
        (tmp_path / name).write_text("package main\n")
    files = (tmp_path / "a.go", tmp_path / "b.go")
    first = fingerprint(files)
    assert fingerprint(files) == first
    assert fingerprint(files[:1]) != first
    files[1].write_text("package main // changed\n")
    assert fingerprint(files) != first


def test_the_sources_are_shipped() -> None:
    assert "main.go" in [file.name for file in sources()]


def test_a_built_simulator_is_used_again(tmp_path: Path) -> None:
    binary = tmp_path / f"simulator-{fingerprint(sources())}"
    binary.touch()
    assert build(tmp_path) == binary  # a compiler would be refused in unit tests


def test_missing_tools_name_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = importlib.import_module("dtesx.lab.simulator.build")  # the package shows the function
    monkeypatch.setattr(builder, "_SIMULATOR_PACKAGE", tmp_path / "nowhere")
    monkeypatch.setattr(builder.shutil, "which", lambda name, path=None: None)
    with pytest.raises(NotFound, match="Go and the govmomi library") as caught:
        build(tmp_path / "cache")
    assert "golang-go golang-github-vmware-govmomi-dev" in caught.value.hint
