"""Making the replica VM: where it goes, what it is made of, and knowing it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import Conflict
from dtesx.model import scsi
from dtesx.model.inventory import Firmware
from dtesx.model.layout import DiskFormat, DiskLayout
from dtesx.model.vmware import ReplicaPlan, VirtualMachine, is_owned, owner_note
from dtesx.vsphere import devices, machines
from dtesx.vsphere.collector import rows_under
from dtesx.vsphere.placement import Placement
from dtesx.vsphere.session import Session
from dtesx.vsphere.tasks import Progress, run_task, unseen

_FIRST_DISK = -2000
_FIRST_NIC = -4000
_FIRMWARE = {Firmware.BIOS: "bios", Firmware.UEFI: "efi"}


def find_replica(session: Session, root: Any, plan: ReplicaPlan) -> VirtualMachine | None:
    """The replica a former run has made; None when the name is free.

    Raises Conflict when another VM has the name, or the replica's disks are not the planned ones.
    """
    named = [
        row
        for row in rows_under(session, root, vim.VirtualMachine, ("name", "config.uuid", "config.annotation"))
        if row.name == plan.name
    ]
    if not named:
        return None
    for row in named:
        if is_owned(str(row.values.get("config.annotation", "")), plan.owner):
            return _checked(machines.machine(session, row.managed), plan)
    if any("config.uuid" not in row.values for row in named):
        raise Conflict(
            f"a virtual machine called {plan.name} is being created, or its files cannot be read",
            hint="wait for its task in the vSphere client (Recent Tasks), then run the command again",
        )
    raise Conflict(
        f"a virtual machine called {plan.name} exists already and does not belong to this job",
        hint="choose another name (replica.name in the job), or remove that VM if nobody needs it",
    )


def create(
    session: Session, plan: ReplicaPlan, placement: Placement, on_progress: Progress = unseen
) -> VirtualMachine:
    """Make the VM with its new disks, powered off; all of it in one task, so there is no half of it."""
    spec = config_spec(plan, placement)
    spot = placement.spot
    made = run_task(
        session,
        lambda: spot.folder.CreateVM_Task(spec, spot.pool, spot.host),
        on_progress=on_progress,
        heavy=True,
    )
    return machines.machine(session, made)


def config_spec(plan: ReplicaPlan, placement: Placement) -> Any:
    """The request that makes the replica (pure)."""
    return vim.vm.ConfigSpec(
        name=plan.name,
        annotation=owner_note(plan.owner),
        guestId=plan.guest_id,
        firmware=_FIRMWARE[plan.firmware],
        # Only more disks than old hardware has places for need a new one: else the host's usual one.
        version=f"vmx-{scsi.LARGE_HARDWARE}" if len(plan.disks) > scsi.max_disks(0) else None,
        numCPUs=plan.cpus,
        numCoresPerSocket=plan.cores_per_socket,
        memoryMB=plan.memory_mib,
        # Only the datastore: vSphere then makes a folder with the VM's name there, or a variant of it.
        files=vim.vm.FileInfo(vmPathName=f"[{plan.datastore}]"),
        # The guest sees the disks' UUIDs only with this switch; without it no udev by-id names.
        extraConfig=[vim.option.OptionValue(key="disk.EnableUUID", value="TRUE")],
        deviceChange=[*_disk_changes(plan), *_nic_changes(plan, placement.networks)],
    )


def owned_by(session: Session, owner: str, name: str) -> VirtualMachine | None:
    """The VM of that name, wherever it is, whose notes name this owner."""
    paths = ("name", "config.annotation")
    for row in rows_under(session, session.content.rootFolder, vim.VirtualMachine, paths):
        if row.name == name and is_owned(str(row.values.get("config.annotation", "")), owner):
            return machines.machine(session, row.managed)
    return None


def _checked(found: VirtualMachine, plan: ReplicaPlan) -> VirtualMachine:
    """A VM that a killed run made may still lack the existing disks."""
    sizes = _rounded(plan.disks)
    planned = {(disk.bus, disk.unit): size for disk, size in zip(plan.disks, sizes, strict=True)}
    present = {(disk.bus, disk.unit): disk.size_bytes for disk in found.disks}
    given = {(disk.bus, disk.unit) for disk in plan.disks if disk.existing}
    if {place: size for place, size in planned.items() if place in present or place not in given} != present:
        raise Conflict(
            f"the replica {plan.name} exists, but its disks are not those of the plan",
            hint="delete the job together with its replica, then create it again",
        )
    return found


def _rounded(wanted: tuple[DiskLayout, ...]) -> tuple[int, ...]:
    return tuple((disk.size_bytes + 1023) // 1024 * 1024 for disk in wanted)


def _disk_changes(plan: ReplicaPlan) -> Iterator[Any]:
    """New disks with their controllers; existing ones come when there is a directory to move them to."""
    controllers: set[int] = set()
    for disk, size in zip(plan.disks, _rounded(plan.disks), strict=True):
        if disk.existing:
            continue
        seat = devices.new_seat(disk.bus, disk.unit)
        if seat.controller not in controllers:
            controllers.add(seat.controller)
            yield devices.new_controller(seat)
        backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            # No file name: vSphere puts the disk into a folder of the VM's own there and names it.
            fileName=f"[{disk.datastore}]",
            diskMode="persistent",
            thinProvisioned=disk.format is DiskFormat.THIN,
            eagerlyScrub=disk.format is DiskFormat.THICK,
        )
        yield vim.vm.device.VirtualDeviceSpec(
            operation="add",
            fileOperation="create",
            device=devices.disk_device(seat, _FIRST_DISK - disk.index, size, backing),
        )


def _nic_changes(plan: ReplicaPlan, backings: Mapping[str, Any]) -> Iterator[Any]:
    for index, nic in enumerate(plan.nics):
        card = vim.vm.device.VirtualVmxnet3(
            key=_FIRST_NIC - index,
            backing=backings[nic.network],
            connectable=vim.vm.device.VirtualDevice.ConnectInfo(
                startConnected=True, allowGuestControl=True, connected=False
            ),
        )
        if nic.mac:
            card.addressType, card.macAddress = "manual", nic.mac
        yield vim.vm.device.VirtualDeviceSpec(operation="add", device=card)
