"""What a job asks of its replica: the virtual machine, its disks and its networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
)

from dtesx.model.inventory import Firmware
from dtesx.model.layout import MIB, DiskFormat
from dtesx.model.quantities import parse_size

MAX_CPUS = 128
"""Virtual CPUs of a machine of virtual hardware 11 to 17 (VMware configuration maximums)."""

MIN_MEMORY_MIB = 512
MAX_MEMORY_MIB = 6_128_000

_EXISTING = re.compile(r"\[([^\]]+)\] (\S.*)\.vmdk")


class DiskStrategy(StrEnum):
    """Which disks a replica gets: one for each of the source's, or one for each volume."""

    MATCH_SOURCE = "match-source"
    PER_VOLUME = "per-volume"


@dataclass(frozen=True)
class DiskSpec:
    """One disk: that of a source disk, or that of a partition with the strategy per-volume.

    What is empty is as the replica's ``datastore`` and ``disk_format``, and as large as on the source.
    ``size`` is that of the disk, or with per-volume of the partition on it. ``existing`` is the path of
    a virtual disk to be used instead of a new one, such as ``[ds1] old/old.vmdk``.
    """

    datastore: str = ""
    format: DiskFormat | None = None
    size: str = ""
    existing: str = ""

    def __post_init__(self) -> None:
        checked_size("size", self.size)
        if self.existing:
            _check_existing(self.existing, self.datastore)
            if self.size or self.format is not None:
                raise ValueError("existing: an existing disk has a size and a format already")


@dataclass(frozen=True)
class GroupSpec:
    """The disks of a volume group, with the strategy per-volume.

    ``size`` is that of the group (default: as on the source), ``disk_size`` the most of one virtual disk
    that holds part of it (default: the most that the datastore takes). ``volumes`` gives logical volumes
    other sizes than on the source. ``existing`` are the paths of virtual disks that hold the group already.
    """

    datastore: str = ""
    format: DiskFormat | None = None
    size: str = ""
    disk_size: str = ""
    volumes: Mapping[str, str] = field(default_factory=dict)
    existing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checked_size("size", self.size)
        checked_size("disk_size", self.disk_size)
        for size in self.volumes.values():
            checked_size("volumes", size)
        for path in self.existing:
            _check_existing(path, self.datastore)
        if self.existing and (self.size or self.disk_size or self.volumes or self.format is not None):
            raise ValueError("existing: existing disks have sizes, a format and logical volumes already")


@dataclass(frozen=True)
class StorageSpec:
    """The replica's disks. ``unencrypted``: they may hold in clear what is encrypted on the source.

    ``disks`` belongs to the strategy match-source and names the source's disks; ``partitions`` (by mount
    point, swap by its device) and ``groups`` (by name) belong to per-volume.
    """

    strategy: DiskStrategy = DiskStrategy.MATCH_SOURCE
    disks: Mapping[str, DiskSpec] = field(default_factory=dict)
    partitions: Mapping[str, DiskSpec] = field(default_factory=dict)
    groups: Mapping[str, GroupSpec] = field(default_factory=dict)
    unencrypted: bool = False

    def __post_init__(self) -> None:
        if self.strategy is DiskStrategy.PER_VOLUME and self.disks:
            raise ValueError("disks: belongs to the strategy match-source; with per-volume name partitions")
        if self.strategy is DiskStrategy.MATCH_SOURCE:
            for name in ("partitions", "groups"):
                if getattr(self, name):
                    raise ValueError(f"{name}: belongs to the strategy per-volume; else name disks")
        paths = self.existing
        for path in paths:
            if paths.count(path) > 1:
                raise ValueError(f"{path} is named twice as an existing disk")

    @property
    def existing(self) -> tuple[str, ...]:
        """The datastore paths of all existing disks that are named."""
        named = [spec.existing for spec in (*self.disks.values(), *self.partitions.values()) if spec.existing]
        return (*named, *(path for group in self.groups.values() for path in group.existing))


@dataclass(frozen=True)
class AddressSpec:
    """What the replica's network card is to be called by, all of it: nothing of the source's stays.

    ``addresses`` with their prefix lengths (``10.1.0.5/24``), at most one gateway of each family.
    """

    addresses: tuple[str, ...]
    gateways: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.addresses:
            raise ValueError("addresses: name at least one, such as 10.1.0.5/24")
        networks = [_interface(text).network for text in self.addresses]
        gateways = [_address("gateways", text) for text in self.gateways]
        for family in (4, 6):
            if sum(gateway.version == family for gateway in gateways) > 1:
                raise ValueError(f"gateways: Linux uses one default gateway; keep one for IPv{family}")
        for gateway in gateways:
            if not gateway.is_link_local and not any(gateway in network for network in networks):
                raise ValueError(f"gateways: {gateway} is in no network of the addresses")
        for text in self.dns:
            _address("dns", text)

    def of(self, version: int) -> tuple[str, ...]:
        """The addresses of an IP version (4 or 6)."""
        return tuple(text for text in self.addresses if ip_interface(text).version == version)

    def gateway(self, version: int) -> str:
        """The gateway of an IP version; "" without one."""
        return next((text for text in self.gateways if ip_address(text).version == version), "")

    def servers(self, version: int) -> tuple[str, ...]:
        """The name servers that are asked over an IP version."""
        return tuple(text for text in self.dns if ip_address(text).version == version)


@dataclass(frozen=True)
class ReplicaSpec:
    """The replica VM. What is 0, empty or null is as on the source, or beside the appliance.

    ``networks`` maps a source NIC's name to a port group; ``"*"`` stands for every other NIC, null
    leaves a NIC out. At most one of ``host``, ``cluster`` and ``resource_pool`` says where it runs.
    """

    datastore: str
    name: str = ""
    host: str = ""
    cluster: str = ""
    resource_pool: str = ""
    folder: str = ""
    sockets: int = 0
    cores_per_socket: int = 0
    memory_mib: int = 0
    firmware: Firmware | None = None
    disk_format: DiskFormat = DiskFormat.THIN
    storage: StorageSpec = StorageSpec()
    networks: Mapping[str, str | None] = field(default_factory=lambda: {"*": "VM Network"})
    addresses: Mapping[str, AddressSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.datastore:
            raise ValueError("replica.datastore must name a datastore")
        for name in ("sockets", "cores_per_socket"):
            if not 0 <= getattr(self, name) <= MAX_CPUS:
                raise ValueError(f"replica.{name} must be between 1 and {MAX_CPUS}, or 0 for the source's")
        if self.sockets * self.cores_per_socket > MAX_CPUS:
            raise ValueError(f"replica.sockets: a virtual machine has at most {MAX_CPUS} CPUs in all")
        if self.memory_mib and not MIN_MEMORY_MIB <= self.memory_mib <= MAX_MEMORY_MIB:
            raise ValueError(
                f"replica.memory_mib must be at least {MIN_MEMORY_MIB}, or 0 for the source's memory"
            )
        if sum(bool(place) for place in (self.host, self.cluster, self.resource_pool)) > 1:
            raise ValueError("replica.host: name a host, a cluster or a resource pool, not several of them")

    def network_for(self, nic: str) -> str | None:
        """The port group for a NIC; None when the NIC is to be left out."""
        return self.networks[nic] if nic in self.networks else self.networks.get("*")


def datastore_of(path: str) -> str:
    """The datastore in a datastore path (``[ds1] dir/disk.vmdk``)."""
    found = _EXISTING.fullmatch(path)
    return found[1] if found else ""


def checked_size(name: str, text: str) -> int:
    """Bytes of a size in a field, 0 for an empty one; ValueError names the field."""
    if not text:
        return 0
    try:
        size = parse_size(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if size < MIB:
        raise ValueError(f"{name}: {text} is less than 1 MiB")
    return size


def _check_existing(path: str, datastore: str) -> None:
    if not _EXISTING.fullmatch(path) or path.endswith("-flat.vmdk"):
        raise ValueError(f"existing: {path!r} is not the path of a virtual disk, such as [ds1] old/old.vmdk")
    if datastore and datastore != datastore_of(path):
        raise ValueError(f"existing: {path!r} is not on the datastore {datastore}")


def _interface(text: str) -> IPv4Interface | IPv6Interface:
    if "/" not in text:
        raise ValueError(f"addresses: {text!r} has no prefix length; write {text}/24")
    try:
        return ip_interface(text)
    except ValueError as error:
        raise ValueError(f"addresses: {text!r} is no address such as 10.1.0.5/24") from error


def _address(name: str, text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise ValueError(f"{name}: {text!r} is no IP address") from error
