"""SCSI places and the device changes that use them: pure, nothing here calls the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import Conflict

CONTROLLERS = 4
UNITS = tuple(unit for unit in range(16) if unit != 7)
"""Units of one SCSI bus that a disk can have; the controller itself is number 7."""

MAX_DISKS = CONTROLLERS * len(UNITS)

_NEW_CONTROLLER = -1000
"""Negative keys stand for devices that are made by the same request; the server numbers them."""


@dataclass(frozen=True)
class Place:
    """Where a disk goes: a controller's key (negative: made by the same request), its bus, a unit."""

    controller: int
    bus: int
    unit: int


def places() -> Iterator[Place]:
    """The places of a VM that has no SCSI controller yet, in order."""
    for bus in range(CONTROLLERS):
        for unit in UNITS:
            yield Place(_NEW_CONTROLLER - bus, bus, unit)


def free_place(devices: Sequence[Any]) -> Place:
    """The first free unit on a pvscsi controller, else unit 0 of a new one.

    Raises Conflict when four controllers are there and full.
    """
    buses = {item.busNumber for item in devices if isinstance(item, vim.vm.device.VirtualSCSIController)}
    paravirtual = [item for item in devices if isinstance(item, vim.vm.device.ParaVirtualSCSIController)]
    for controller in sorted(paravirtual, key=lambda item: int(item.busNumber)):
        used = {item.unitNumber for item in devices if item.controllerKey == controller.key}
        for unit in UNITS:
            if unit not in used:
                return Place(int(controller.key), int(controller.busNumber), unit)
    for bus in range(CONTROLLERS):
        if bus not in buses:
            return Place(_NEW_CONTROLLER - bus, bus, UNITS[0])
    raise Conflict(
        f"the VM has no room for another disk: {CONTROLLERS} SCSI controllers with {len(UNITS)} disks each",
        hint="delete jobs of this appliance that are not needed, or deploy another appliance for new jobs",
    )


def new_controller(place: Place) -> Any:
    """The change that makes the pvscsi controller of a place."""
    return vim.vm.device.VirtualDeviceSpec(
        operation="add",
        device=vim.vm.device.ParaVirtualSCSIController(
            key=place.controller,
            busNumber=place.bus,
            sharedBus="noSharing",
        ),
    )


def disk_device(place: Place, key: int, size_bytes: int, backing: Any) -> Any:
    """A virtual disk at a place; the size rounded up to the KiB that older servers count in."""
    return vim.vm.device.VirtualDisk(
        key=key,
        controllerKey=place.controller,
        unitNumber=place.unit,
        capacityInKB=(size_bytes + 1023) // 1024,
        capacityInBytes=size_bytes,
        backing=backing,
    )
