"""Existing virtual disks become a replica's own: moved beside it, then attached at their places."""

from __future__ import annotations

import re
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import Conflict, NotFound
from dtesx.base.log import get_logger
from dtesx.model.layout import DiskLayout
from dtesx.model.replica import datastore_of
from dtesx.model.vmware import ReplicaPlan, StoredDisk, VirtualDisk
from dtesx.vsphere import machines, stored
from dtesx.vsphere.collector import properties
from dtesx.vsphere.devices import disk_device, new_controller, seat_at
from dtesx.vsphere.placement import Placement
from dtesx.vsphere.session import Session
from dtesx.vsphere.tasks import Progress, run_task, unseen

log = get_logger(__name__)

_NEW_DISK = -2000
_HOME = "config.files.vmPathName"


def adopt(
    session: Session, machine: Any, plan: ReplicaPlan, placement: Placement, on_progress: Progress = unseen
) -> None:
    """Give a replica the plan's existing disks; those that it has already stay.

    A disk that a killed run moved is known by its new name. Raises NotFound for one that is gone, Conflict
    for one that another VM has, or that is not what was planned.
    """
    for disk in plan.disks:
        if disk.existing and _held(session, machine, disk) is None:
            target = _target(session, machine, plan, disk)
            _bring(session, disk, target, placement, on_progress)
            _attach(session, machine, disk, target)
            _check(session, machine, disk)


def give_back(session: Session, machine: Any, plan: ReplicaPlan, placement: Placement) -> None:
    """Undo ``adopt``: every existing disk is where it was, and the VM has none of them."""
    for disk in plan.disks:
        if not disk.existing:
            continue
        held = _held(session, machine, disk)
        if held is not None:
            _release(session, machine, held)
        target = _target(session, machine, plan, disk)
        there = _there(session, (target, disk.existing), placement)
        if target in there and disk.existing not in there:
            stored.move(session, placement.spot.datacenter, target, disk.existing)


def point(session: Session, machine: Any, disk: VirtualDisk, path: str) -> None:
    """Have a VM's disk be the file at ``path``, in one change, so that there is no VM without it."""
    changes = [_removal(session, machine, disk), *_additions(session, machine, disk, path)]
    run_task(session, lambda: machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=changes)))


def _attach(session: Session, machine: Any, disk: DiskLayout, path: str) -> None:
    changes = _additions(session, machine, disk, path)
    run_task(session, lambda: machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=changes)))


def _additions(session: Session, machine: Any, disk: DiskLayout | VirtualDisk, path: str) -> list[Any]:
    """What gives a VM an existing file at the disk's place, with the controller if it is not there."""
    seat = seat_at(_devices(session, machine), disk.bus, disk.unit)
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName=path, diskMode="persistent")
    addition = vim.vm.device.VirtualDeviceSpec(
        operation="add", device=disk_device(seat, _NEW_DISK, disk.size_bytes, backing)
    )
    return [new_controller(seat), addition] if seat.controller < 0 else [addition]


def _release(session: Session, machine: Any, disk: VirtualDisk) -> None:
    removal = _removal(session, machine, disk)
    run_task(session, lambda: machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[removal])))


def _removal(session: Session, machine: Any, disk: VirtualDisk) -> Any:
    """What takes a disk out of a VM; its files stay."""
    device = next(item for item in _devices(session, machine) if item.key == disk.key)
    return vim.vm.device.VirtualDeviceSpec(operation="remove", device=device)


def _bring(
    session: Session, disk: DiskLayout, target: str, placement: Placement, on_progress: Progress
) -> None:
    found = _there(session, (disk.existing, target), placement)
    if disk.existing in found:
        _check_free(found[disk.existing].holders, disk.existing)
        log.info("moving an existing disk", source=disk.existing, target=target)
        stored.move(session, placement.spot.datacenter, disk.existing, target, on_progress)
    elif target not in found:
        raise NotFound(
            f"the existing disk {disk.existing} is not there any more",
            hint="correct replica.storage in the job, or bring the disk back",
        )


def _there(session: Session, paths: tuple[str, ...], placement: Placement) -> dict[str, StoredDisk]:
    found = stored.stored(session, paths, placement.stores, placement.spot.datacenter)
    return {item.path: item for item in found}


def _check_free(holders: tuple[str, ...], path: str) -> None:
    if holders:
        raise Conflict(
            f"the existing disk {path} belongs to the VM {', '.join(holders)}",
            hint="remove the disk from that VM in the vSphere client, without deleting its files",
        )


def _check(session: Session, machine: Any, disk: DiskLayout) -> None:
    held = _held(session, machine, disk)
    if held is None or held.below or held.size_bytes != disk.size_bytes:
        raise Conflict(
            f"the existing disk {disk.existing} is not what it was when the job was planned",
            hint="remove its snapshots, if it has any; then delete the job and create it again",
        )


def _held(session: Session, machine: Any, disk: DiskLayout) -> VirtualDisk | None:
    present = machines.disks(_devices(session, machine))
    return next((item for item in present if (item.bus, item.unit) == (disk.bus, disk.unit)), None)


def _target(session: Session, machine: Any, plan: ReplicaPlan, disk: DiskLayout) -> str:
    """Where the disk goes: to the VM's own directory, or to one of its owner's on another datastore."""
    home = str(properties(session, machine, (_HOME,))[_HOME]).rpartition("/")[0]
    store = datastore_of(disk.existing)
    if not home.startswith(f"[{store}] "):
        mark = re.sub(r"[^A-Za-z0-9]+", "-", plan.owner)
        home = f"[{store}] {plan.name}-{mark}"
    return f"{home}/existing-{disk.index}.vmdk"


def _devices(session: Session, machine: Any) -> Any:
    return properties(session, machine, (machines.DEVICES,)).get(machines.DEVICES, ())
