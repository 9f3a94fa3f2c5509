"""Plain pyVmomi helpers for these tests; nothing of dtesx's own vSphere layer."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

from dtesx.lab.simulator import Simulator, SimulatorUser

GIB_KB = 1 << 20


def wait(task: Any, timeout: float = 30) -> Any:
    """The task's result; its fault is raised."""
    deadline = time.monotonic() + timeout
    while True:
        info = task.info
        if info.state == "success":
            return info.result
        if info.state == "error":
            raise info.error
        assert time.monotonic() < deadline, "the task did not end"
        time.sleep(0.02)


def disks(vm: Any) -> list[Any]:
    return [d for d in vm.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]


def disk_device(path: str, *, controller: int, unit: int, kb: int = GIB_KB, thin: bool = True) -> Any:
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=path, diskMode="persistent", thinProvisioned=thin
    )
    return vim.vm.device.VirtualDisk(
        key=-100 - unit, controllerKey=controller, unitNumber=unit, capacityInKB=kb, backing=backing
    )


def change(operation: str, device: Any, files: str | None = None) -> Any:
    return vim.vm.device.VirtualDeviceSpec(operation=operation, device=device, fileOperation=files)


def nic_device(network: str) -> Any:
    backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=network)
    return vim.vm.device.VirtualVmxnet3(key=-50, backing=backing)


@dataclass
class Site:
    """A running simulator and one administrator's session with it."""

    simulator: Simulator
    content: Any
    datastore: Path
    appliance: Any

    def vm_spec(self, name: str, *, sizes: tuple[int, ...] = (GIB_KB,), network: str = "VM Network") -> Any:
        scsi = vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing")
        devices = [change("add", scsi), change("add", nic_device(network))]
        for unit, kb in enumerate(sizes):
            device = disk_device("[datastore1]", controller=-1, unit=unit, kb=kb)
            devices.append(change("add", device, "create"))
        return vim.vm.ConfigSpec(
            name=name, guestId="debian11_64Guest", numCPUs=2, memoryMB=512, deviceChange=devices,
            files=vim.vm.FileInfo(vmPathName="[datastore1]"),
        )  # fmt: skip

    def create(self, name: str, **options: Any) -> Any:
        spec = self.vm_spec(name, **options)
        return wait(self.appliance.parent.CreateVM_Task(spec, pool=self.appliance.resourcePool))

    def reconfigure(self, vm: Any, *changes: Any, **fields: Any) -> None:
        wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=list(changes), **fields)))

    def attach(self, vm: Any, path: str, *, unit: int) -> Any:
        self.reconfigure(vm, change("add", disk_device(path, controller=1000, unit=unit, kb=0)))
        return next(d for d in disks(vm) if d.unitNumber == unit)

    def detach(self, vm: Any, path: str, *, destroy: bool = False) -> None:
        device = next(d for d in disks(vm) if d.backing.fileName == path)
        self.reconfigure(vm, change("remove", device, "destroy" if destroy else None))

    def host_path(self, datastore_path: str) -> Path:
        return self.datastore / datastore_path.removeprefix("[datastore1] ")

    def data(self, datastore_path: str) -> Path:
        return self.host_path(datastore_path.removesuffix(".vmdk") + "-flat.vmdk")


def write(file: Path, text: bytes, *, at: int = 4096) -> None:
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(text)


def read(file: Path, length: int, *, at: int = 4096) -> bytes:
    with file.open("rb") as stream:
        stream.seek(at)
        return stream.read(length)


@contextlib.contextmanager
def session(simulator: Simulator, user: SimulatorUser) -> Iterator[Any]:
    """The service content as ``user`` sees it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    config = simulator.config
    instance = SmartConnect(
        host=config.address, port=config.port, user=user.name, pwd=user.password, sslContext=context
    )
    try:
        yield instance.RetrieveContent()
    finally:
        with contextlib.suppress(vim.fault.NotAuthenticated, ConnectionError):
            Disconnect(instance)


class HookServer:
    """The lab's end of the hooks: records every call and answers what the test wants."""

    def __init__(self, path: Path) -> None:
        self.calls: list[dict[str, Any]] = []
        self.refusal = ""
        self.during: Callable[[dict[str, Any]], None] = lambda call: None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, connection.makefile("rwb") as stream:
                    self.calls.append(json.loads(stream.readline()))
                    self.during(self.calls[-1])
                    answer = {"error": self.refusal} if self.refusal else {"ok": True}
                    stream.write(json.dumps(answer).encode() + b"\n")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def names(self) -> list[str]:
        return [call["call"] for call in self.calls]
