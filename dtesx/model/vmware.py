"""vSphere objects as values; ``ref`` strings are managed object ids such as ``vm-42``."""

from __future__ import annotations

from dataclasses import dataclass

from dtesx.model.inventory import Firmware
from dtesx.model.layout import DiskFormat


@dataclass(frozen=True)
class VmwareServer:
    """A vCenter or ESXi host: address, account, and the SHA-256 thumbprint of its certificate.

    ``thumbprint`` is upper-case hex in pairs joined by colons, as vSphere clients show it.
    """

    name: str
    address: str
    user: str
    port: int = 443
    thumbprint: str = ""


@dataclass(frozen=True)
class About:
    """What the server says it is (ServiceContent.about)."""

    product: str
    version: str
    build: str
    api_type: str
    instance_uuid: str


@dataclass(frozen=True)
class Datastore:
    """A datastore; sizes in bytes."""

    ref: str
    name: str
    type: str
    capacity_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Network:
    """A port group; ``distributed`` tells a DVS port group from a standard one."""

    ref: str
    name: str
    distributed: bool


@dataclass(frozen=True)
class VirtualDisk:
    """A virtual disk as one VM sees it.

    ``path`` is the datastore path of the top of its chain (``[ds] dir/x-000001.vmdk``), ``uuid``
    the backing UUID, by which the guest finds it, ``unit`` its place on the controller.
    """

    key: int
    path: str
    uuid: str
    size_bytes: int
    controller: int
    unit: int


@dataclass(frozen=True)
class VirtualNic:
    """A virtual network card as vSphere made it."""

    key: int
    mac: str
    network: str


@dataclass(frozen=True)
class VirtualMachine:
    """A VM: power state as vSphere names it (poweredOn, poweredOff, suspended)."""

    ref: str
    name: str
    uuid: str
    powered_on: bool
    disks: tuple[VirtualDisk, ...]
    nics: tuple[VirtualNic, ...] = ()
    guest_address: str = ""
    guest_hostname: str = ""
    annotation: str = ""


@dataclass(frozen=True)
class NicPlan:
    """A virtual NIC to create; ``mac`` empty lets vSphere choose."""

    network: str
    mac: str = ""


@dataclass(frozen=True)
class ReplicaPlan:
    """Everything CreateVM_Task needs for a replica. ``owner`` marks it as the job's (annotation)."""

    name: str
    owner: str
    datastore: str
    guest_id: str
    firmware: Firmware
    cpus: int
    memory_mib: int
    disk_bytes: tuple[int, ...]
    nics: tuple[NicPlan, ...]
    disk_format: DiskFormat = DiskFormat.THIN
    resource_pool: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A VMware snapshot of a replica; ``created`` is Unix seconds."""

    ref: str
    name: str
    description: str
    created: float
    current: bool
