"""A simulator per test, driven with plain pyVmomi: these tests say what it promises, not how dtesx uses it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

from dtesx.lab.simulator import Simulator, SimulatorConfig, SimulatorUser, build
from dtesx.wire.identity import load_or_create

from .vsphere import Site

ADMIN = SimulatorUser("administrator@vsphere.local", "VMware1!")
WATCHER = SimulatorUser("watcher@lab", "look", role="Watcher", privileges=("VirtualMachine.Interact.PowerOn",))
APPLIANCE = "appliance"
APPLIANCE_UUID = "420f5f0a-1111-4222-8333-444455556666"


@pytest.fixture(scope="session")
def binary() -> Path:
    return build(Path("/var/cache/dtesx-tests/simulator"))
