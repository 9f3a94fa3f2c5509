"""SCSI places and the device changes that use them: pure, nothing here calls the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import Conflict
from dtesx.model import scsi

_NEW_CONTROLLER = -1000
"""Negative keys stand for devices that are made by the same request; the server numbers them."""


@dataclass(frozen=True)
class Seat:
    """Where a disk goes: a controller's key (negative: made by the same request), its bus, a unit."""

    controller: int
    bus: int
    unit: int


def new_seat(bus: int, unit: int) -> Seat:
    """A place on a controller that is made by the same request."""
    return Seat(_NEW_CONTROLLER - bus, bus, unit)


def seat_at(devices: Sequence[Any], bus: int, unit: int) -> Seat:
    """A place of a VM: on the controller that is there, or on a new one."""
    for item in devices:
        if isinstance(item, vim.vm.device.VirtualSCSIController) and item.busNumber == bus:
            return Seat(int(item.key), bus, unit)
    return new_seat(bus, unit)


def free_seat(devices: Sequence[Any], hardware: int) -> Seat:
    """The first free unit on a pvscsi controller, else unit 0 of a new one; ``hardware`` is the VM's.

    Raises Conflict when four controllers are there and full.
    """
    buses = {item.busNumber for item in devices if isinstance(item, vim.vm.device.VirtualSCSIController)}
    paravirtual = [item for item in devices if isinstance(item, vim.vm.device.ParaVirtualSCSIController)]
    units = scsi.units(hardware)
    for controller in sorted(paravirtual, key=lambda item: int(item.busNumber)):
        used = {item.unitNumber for item in devices if item.controllerKey == controller.key}
        for unit in units:
            if unit not in used:
                return Seat(int(controller.key), int(controller.busNumber), unit)
    for bus in range(scsi.CONTROLLERS):
        if bus not in buses:
            return new_seat(bus, units[0])
    raise Conflict(
        f"the VM has no room for another disk: {scsi.CONTROLLERS} SCSI controllers of {len(units)} disks",
        hint="delete jobs of this appliance that are not needed, or deploy another appliance for new jobs",
    )


def new_controller(seat: Seat) -> Any:
    """The change that makes the pvscsi controller of a seat."""
    return vim.vm.device.VirtualDeviceSpec(
        operation="add",
        device=vim.vm.device.ParaVirtualSCSIController(
            key=seat.controller,
            busNumber=seat.bus,
            sharedBus="noSharing",
        ),
    )


def disk_device(seat: Seat, key: int, size_bytes: int, backing: Any) -> Any:
    """A virtual disk at a seat; the size rounded up to the KiB that older servers count in."""
    return vim.vm.device.VirtualDisk(
        key=key,
        controllerKey=seat.controller,
        unitNumber=seat.unit,
        capacityInKB=(size_bytes + 1023) // 1024,
        capacityInBytes=size_bytes,
        backing=backing,
    )
