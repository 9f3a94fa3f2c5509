"""Virtual machines as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from pyVmomi import vim

from dtesx.base.errors import NotFound, UsageError
from dtesx.model.vmware import VirtualDisk, VirtualMachine, VirtualNic
from dtesx.vsphere.collector import Row, properties, rows, rows_under
from dtesx.vsphere.inventory import choose
from dtesx.vsphere.session import Session

DEVICES = "config.hardware.device"
POWER = "runtime.powerState"
HARDWARE = "config.version"
_PATHS = (
    "name",
    "config.uuid",
    "config.instanceUuid",
    "config.annotation",
    HARDWARE,
    DEVICES,
    POWER,
    "guest.ipAddress",
    "guest.hostName",
    "network",
)


def handle(session: Session, ref: str) -> Any:
    """The managed object of a VM by its id (unchecked)."""
    return session.managed(vim.VirtualMachine, ref)


def machine(session: Session, managed: Any) -> VirtualMachine:
    """Read a VM. Raises the server's fault when it is gone."""
    return _machine(session, Row(managed, properties(session, managed, _PATHS)))


def machine_by_name(session: Session, name: str) -> VirtualMachine:
    """The VM with that display name anywhere in the inventory; NotFound lists what exists."""
    row = choose(
        "virtual machine",
        name,
        rows_under(session, session.content.rootFolder, vim.VirtualMachine, ("name",)),
        hint="check the name in the vSphere client, and that the account may see the VM",
    )
    return machine(session, row.managed)


def machine_by_uuid(session: Session, uuid: str) -> VirtualMachine:
    """The VM with that BIOS UUID, as the guest sees it in DMI. Raises NotFound.

    Virtual hardware 13 and newer show the guest the first three fields in the other byte order
    (SMBIOS 2.6 defines them little-endian), so both readings are tried.
    """
    index = session.content.searchIndex

    def look(form: str) -> Any:
        return session.read(lambda: index.FindByUuid(None, form, True, False))

    found = look(uuid) or look(swapped(uuid))
    if found is not None:
        return machine(session, found)
    raise NotFound(
        f"there is no virtual machine with the UUID {uuid}",
        hint="check that the machine runs on this vCenter and that the account may see it",
    )


def machine_by_instance(session: Session, uuid: str) -> VirtualMachine:
    """The VM with that instance UUID, whatever its name, host and folder are by now. Raises NotFound."""
    index = session.content.searchIndex
    found = session.read(lambda: index.FindByUuid(None, uuid, True, True))
    if found is None:
        raise NotFound(
            f"there is no virtual machine with the instance UUID {uuid} any more",
            hint="if the appliance was registered anew, remove the VMware server and add it again; "
            "else check that the account may see its VM",
        )
    return machine(session, found)


def swapped(uuid: str) -> str:
    """A UUID with its first three fields in the other byte order (pure)."""
    try:
        return str(UUID(bytes=UUID(uuid).bytes_le))
    except ValueError as error:
        raise UsageError(f"{uuid!r} is not a UUID", hint="a UUID has 32 hexadecimal digits") from error


def hardware_version(version: str) -> int:
    """The number in a virtual hardware version such as ``vmx-19``; 0 when it is not known (pure)."""
    number = version.removeprefix("vmx-")
    return int(number) if number.isdigit() else 0


def disks(devices: Sequence[Any]) -> tuple[VirtualDisk, ...]:
    """The virtual disks among a VM's devices, in the order of their places."""
    buses = {item.key: int(item.busNumber) for item in devices if hasattr(item, "busNumber")}
    found = [_disk(item, buses) for item in devices if isinstance(item, vim.vm.device.VirtualDisk)]
    return tuple(sorted(found, key=lambda disk: (disk.controller, disk.unit)))


def _disk(device: Any, buses: Mapping[int, int]) -> VirtualDisk:
    backing = device.backing
    return VirtualDisk(
        key=device.key,
        path=str(getattr(backing, "fileName", "") or ""),
        uuid=str(getattr(backing, "uuid", "") or ""),
        size_bytes=int(device.capacityInBytes or device.capacityInKB * 1024),
        controller=int(device.controllerKey or 0),
        unit=int(device.unitNumber or 0),
        bus=buses.get(device.controllerKey, 0),
        below=tuple(_below(backing)),
    )


def _below(backing: Any) -> Iterator[str]:
    parent = getattr(backing, "parent", None)
    while parent is not None:
        yield str(parent.fileName)
        parent = parent.parent


def _machine(session: Session, row: Row) -> VirtualMachine:
    """A VM that is still being made, or whose files are away, has no config: it shows without disks."""
    values = row.values
    devices = values.get(DEVICES, ())
    return VirtualMachine(
        ref=row.ref,
        name=row.name,
        uuid=str(values.get("config.uuid", "")),
        powered_on=str(values.get(POWER, "")) == "poweredOn",
        disks=disks(devices),
        nics=_nics(session, devices, values.get("network", ())),
        guest_address=str(values.get("guest.ipAddress", "")),
        guest_hostname=str(values.get("guest.hostName", "")),
        annotation=str(values.get("config.annotation", "")),
        hardware=hardware_version(str(values.get(HARDWARE, ""))),
        instance_uuid=str(values.get("config.instanceUuid", "")),
    )


def _nics(session: Session, devices: Sequence[Any], connected: Sequence[Any]) -> tuple[VirtualNic, ...]:
    cards = [item for item in devices if isinstance(item, vim.vm.device.VirtualEthernetCard)]
    names = _port_group_names(session, connected) if any(_port(card) for card in cards) else {}
    return tuple(VirtualNic(card.key, card.macAddress or "", _network(card, names)) for card in cards)


def _network(card: Any, names: Mapping[str, str]) -> str:
    port = _port(card)
    if port is not None:
        key = str(port.portgroupKey or "")
        return names.get(key, key)
    return str(getattr(card.backing, "deviceName", "") or "")


def _port(card: Any) -> Any:
    return getattr(card.backing, "port", None)


def _port_group_names(session: Session, connected: Sequence[Any]) -> dict[str, str]:
    kind = vim.dvs.DistributedVirtualPortgroup
    groups = [item for item in connected if isinstance(item, kind)]
    return {str(row.values.get("key", "")): row.name for row in rows(session, groups, kind, ("name", "key"))}
