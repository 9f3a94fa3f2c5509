"""Places for virtual disks: SCSI controllers (buses) of a virtual machine and the units on them.

Limits: VMware configuration maximums; 64 disks on a paravirtual controller since virtual hardware 14.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CONTROLLERS = 4
_OWN_UNIT = 7
LARGE_HARDWARE = 14
"""The first virtual hardware version with large controllers (ESXi 6.7)."""

_UNITS = 15
_LARGE_UNITS = 64


@dataclass(frozen=True)
class Place:
    """Where a disk is: the number of its controller and the unit on it."""

    bus: int
    unit: int


def units(hardware: int) -> tuple[int, ...]:
    """The units of one controller that a disk can have; the controller itself is number 7."""
    count = _LARGE_UNITS if hardware >= LARGE_HARDWARE else _UNITS
    return tuple(unit for unit in range(count + 1) if unit != _OWN_UNIT)


def max_disks(hardware: int) -> int:
    """How many disks a virtual machine of that hardware version can have."""
    return CONTROLLERS * len(units(hardware))


def places(hardware: int) -> Iterator[Place]:
    """All places of a machine in order."""
    for bus in range(CONTROLLERS):
        for unit in units(hardware):
            yield Place(bus, unit)
