"""vSphere objects as values; ``ref`` strings are managed object ids such as ``vm-42``."""

from __future__ import annotations

from dataclasses import dataclass

from dtesx.model.inventory import Firmware
from dtesx.model.layout import DiskLayout

_OWNER = "dtesx-owner:"


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
    """What the server says it is (ServiceContent.about).

    ``api_type`` is ``VirtualCenter`` or ``HostAgent``, a lone ESXi host.
    """

    product: str
    version: str
    build: str
    api_type: str
    instance_uuid: str


@dataclass(frozen=True)
class MissingPrivileges:
    """Privileges, by id, that an account lacks on an object of that name."""

    subject: str
    privileges: tuple[str, ...]


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

    ``path`` is the datastore path of the top of its chain (``[ds] dir/x-000001.vmdk``), ``below`` are those
    of the files beneath it; ``uuid`` is the backing UUID, by which the guest finds the disk. ``controller``
    is the key of its controller, ``bus`` that one's number, ``unit`` its place there.
    """

    key: int
    path: str
    uuid: str
    size_bytes: int
    controller: int
    unit: int
    bus: int = 0
    below: tuple[str, ...] = ()

    def is_same(self, other: VirtualDisk) -> bool:
        """Whether both are one disk, wherever its files are by now."""
        if self.uuid and other.uuid:
            return self.uuid.lower() == other.uuid.lower()
        return self.path == other.path


@dataclass(frozen=True)
class StoredDisk:
    """A virtual disk on a datastore.

    ``holders`` are the VMs that have it, ``twins`` those that have another one with its UUID, of which it is
    a copy; ``deltas`` are files of its snapshots.
    """

    path: str
    size_bytes: int
    holders: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    deltas: tuple[str, ...] = ()


@dataclass(frozen=True)
class VirtualNic:
    """A virtual network card as vSphere made it."""

    key: int
    mac: str
    network: str


@dataclass(frozen=True)
class VirtualMachine:
    """A VM. ``hardware`` is the version of its virtual hardware (``vmx-19``: 19), 0 when it is not known.

    ``uuid`` is its BIOS UUID, which its guest sees, ``instance_uuid`` the one by which vCenter knows it.
    """

    ref: str
    name: str
    uuid: str
    powered_on: bool
    disks: tuple[VirtualDisk, ...]
    nics: tuple[VirtualNic, ...] = ()
    guest_address: str = ""
    guest_hostname: str = ""
    annotation: str = ""
    hardware: int = 0
    instance_uuid: str = ""

    def belongs_to(self, owner: str) -> bool:
        """Whether its notes name exactly this owner; people may have added other lines."""
        return is_owned(self.annotation, owner)


def owner_note(owner: str) -> str:
    """The notes of a replica; the last line is how it is known again."""
    warning = "Replica kept by dtesx. Do not start, change or move it by hand: its job does that."
    return f"{warning}\n{_OWNER} {owner}"


def is_owned(notes: str, owner: str) -> bool:
    """Whether a VM's notes carry exactly this owner."""
    return any(line.strip() == f"{_OWNER} {owner}" for line in notes.splitlines())


@dataclass(frozen=True)
class NicPlan:
    """A virtual NIC to create; ``mac`` empty lets vSphere choose."""

    network: str
    mac: str = ""


@dataclass(frozen=True)
class Whereabouts:
    """Where a VM is made; what is empty is the appliance's. At most one of the first three is not."""

    host: str = ""
    cluster: str = ""
    resource_pool: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Offer:
    """What vSphere has for a replica at its whereabouts.

    ``datastores`` are those of the appliance's host, which writes the disks; ``networks`` those where the
    replica will run. ``appliance_disks`` counts the disks that the appliance's VM holds now, ``hardware``
    is the version of its virtual hardware; ``disk_uuids`` tells whether its guest sees the disks' UUIDs.
    ``stored`` are those of the disks asked for that are on a datastore.
    """

    datastores: tuple[Datastore, ...]
    networks: tuple[Network, ...]
    appliance_disks: int
    hardware: int
    disk_uuids: bool = True
    stored: tuple[StoredDisk, ...] = ()


@dataclass(frozen=True)
class ReplicaPlan:
    """Everything CreateVM_Task needs for a replica. ``owner`` marks it as the job's (annotation).

    ``datastore`` keeps the VM's own files; the disks name theirs, and are at the places that they say.
    """

    name: str
    owner: str
    datastore: str
    guest_id: str
    firmware: Firmware
    sockets: int
    cores_per_socket: int
    memory_mib: int
    disks: tuple[DiskLayout, ...]
    nics: tuple[NicPlan, ...]
    where: Whereabouts = Whereabouts()

    @property
    def cpus(self) -> int:
        """Virtual CPUs in all."""
        return self.sockets * self.cores_per_socket


@dataclass(frozen=True)
class Snapshot:
    """A VMware snapshot of a replica; ``created`` is Unix seconds."""

    ref: str
    name: str
    description: str
    created: float
    current: bool
