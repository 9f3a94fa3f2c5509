"""A simulator per test, driven with plain pyVmomi: what it promises, not how dtesx uses it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from dtesx.lab.simulator import Simulator, SimulatorConfig, SimulatorUser, build
from dtesx.wire.identity import load_or_create
from tests.integration.simulator.vsphere import HookServer, Site, session

ADMIN = SimulatorUser("administrator@vsphere.local", "VMware1!")
LIMITED = SimulatorUser("limited@lab", "look", "Starter", privileges=("VirtualMachine.Interact.PowerOn",))
APPLIANCE = "appliance"
APPLIANCE_UUID = "420f5f0a-1111-4222-8333-444455556666"
CACHE = Path(__file__).parents[3] / ".cache" / "simulator"


@pytest.fixture(scope="session")
def binary() -> Path:
    return build(CACHE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration(directory: Path, *, hooks: Path | None = None) -> SimulatorConfig:
    load_or_create(directory / "identity", "vcenter.lab")
    return SimulatorConfig(
        address="127.0.0.1",
        port=free_port(),
        datastore=directory / "datastore",
        certificate=directory / "identity" / "identity.crt",
        key=directory / "identity" / "identity.key",
        users=(ADMIN, LIMITED),
        appliance_name=APPLIANCE,
        appliance_uuid=APPLIANCE_UUID,
        control=directory / "control",
        hooks=hooks,
    )


def enter(simulator: Simulator, content: Any) -> Site:
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    appliance = next(vm for vm in view.view if vm.name == APPLIANCE)
    return Site(simulator, content, simulator.config.datastore, appliance)


@pytest.fixture
def site(binary: Path, tmp_path: Path) -> Iterator[Site]:
    with (
        Simulator(binary, configuration(tmp_path), tmp_path) as simulator,
        session(simulator, ADMIN) as content,
    ):
        yield enter(simulator, content)


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[HookServer]:
    server = HookServer(tmp_path / "hooks")
    yield server
    server.close()


@pytest.fixture
def hooked_site(binary: Path, tmp_path: Path, hooks: HookServer) -> Iterator[Site]:
    config = configuration(tmp_path, hooks=tmp_path / "hooks")
    with Simulator(binary, config, tmp_path) as simulator, session(simulator, ADMIN) as content:
        yield enter(simulator, content)
