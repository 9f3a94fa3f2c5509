"""Handing disks over: attaching an existing file to a VM, and taking it off again without touching it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import Conflict, VSphereError
from dtesx.model.vmware import VirtualDisk
from dtesx.vsphere.collector import properties
from dtesx.vsphere.devices import disk_device, free_seat, new_controller
from dtesx.vsphere.machines import DEVICES, HARDWARE, disks, hardware_version
from dtesx.vsphere.session import Session
from dtesx.vsphere.tasks import run_task

_NEW_DISK = -2000


def attach(session: Session, machine: Any, disk: VirtualDisk) -> VirtualDisk:
    """Give a VM an existing disk; return it as that VM sees it. A disk it has already is left alone.

    Raises Conflict when the VM holds another file of the same disk (an older link of its chain).
    """
    values = properties(session, machine, (DEVICES, HARDWARE))
    devices = values.get(DEVICES, ())
    present = attached(devices, disk)
    if present is None:
        version = hardware_version(str(values.get(HARDWARE, "")))
        spec = vim.vm.ConfigSpec(deviceChange=attach_changes(devices, disk, version))
        run_task(session, lambda: machine.ReconfigVM_Task(spec))
        present = attached(_devices(session, machine), disk)
    if present is None:
        raise VSphereError(
            f"vSphere reported success, but {disk.path} is not attached",
            hint="look at the VM's events in the vSphere client, then run the command again",
        )
    return present


def detach(session: Session, machine: Any, disk: VirtualDisk) -> None:
    """Take a disk off a VM and keep its files; does nothing when it is not there."""
    held = [item for item in disks(_devices(session, machine)) if item.is_same(disk)]
    if not held:
        return
    spec = vim.vm.ConfigSpec(deviceChange=[_removal(item) for item in held])
    run_task(session, lambda: machine.ReconfigVM_Task(spec))


def attached(devices: Sequence[Any], disk: VirtualDisk) -> VirtualDisk | None:
    """The disk among a VM's devices, which may have been moved with that VM (pure).

    Raises Conflict when the VM holds another file of the disk's chain.
    """
    held = next((item for item in disks(devices) if item.is_same(disk)), None)
    if held is not None and held.path in disk.below:
        raise Conflict(
            f"the VM still holds {held.path}, an older file of the disk {disk.path}",
            hint="detach that file from the VM first: writing to it would spoil the snapshots above it",
        )
    if held is not None and held.path != disk.path and held.below:
        raise Conflict(
            f"the VM holds {held.path}, which a snapshot of that VM put above the disk {disk.path}",
            hint="remove the snapshots of the appliance's VM in the vSphere client; it must have none",
        )
    return held


def attach_changes(devices: Sequence[Any], disk: VirtualDisk, hardware: int) -> list[Any]:
    """The device changes that add an existing disk, with a controller if there is none (pure)."""
    seat = free_seat(devices, hardware)
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName=disk.path, diskMode="persistent")
    addition = vim.vm.device.VirtualDeviceSpec(
        operation="add",
        device=disk_device(seat, _NEW_DISK, disk.size_bytes, backing),
    )
    return [new_controller(seat), addition] if seat.controller < 0 else [addition]


def _removal(disk: VirtualDisk) -> Any:
    """No fileOperation: the file stays."""
    device = vim.vm.device.VirtualDisk(
        key=disk.key,
        controllerKey=disk.controller,
        unitNumber=disk.unit,
        capacityInKB=disk.size_bytes // 1024,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName=disk.path, diskMode="persistent"),
    )
    return vim.vm.device.VirtualDeviceSpec(operation="remove", device=device)


def _devices(session: Session, machine: Any) -> Sequence[Any]:
    found: Sequence[Any] = properties(session, machine, (DEVICES,)).get(DEVICES, ())
    return found
