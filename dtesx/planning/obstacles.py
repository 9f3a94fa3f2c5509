"""What keeps a plan from being carried out: what is not there, and what nobody can make yet."""

from __future__ import annotations

from collections.abc import Iterator

from dtesx.base.errors import Conflict, NotFound, UsageError
from dtesx.model import scsi
from dtesx.model.inventory import Firmware, Inventory
from dtesx.model.job import JobSpec
from dtesx.model.layout import PartitionRole
from dtesx.model.plan import DatastoreUse, Obstacle
from dtesx.model.validation import Check
from dtesx.model.vmware import Offer, ReplicaPlan
from dtesx.planning import existing, space
from dtesx.planning.workload import Workload

_ARCHITECTURES = ("x86_64", "i686", "i586")


def obstacles(
    spec: JobSpec,
    inventory: Inventory,
    workload: Workload,
    replica: ReplicaPlan,
    uses: tuple[DatastoreUse, ...],
    offer: Offer,
) -> tuple[Obstacle, ...]:
    """All of them, those that the administrator can remove first."""
    return (
        *_networks(replica, offer),
        *space.obstacles(replica, uses, offer),
        *_capacity(replica, offer),
        *disk_uuids(offer),
        *_architecture(inventory),
        *_firmware(inventory, workload, replica),
        *_volumes(workload, spec),
        *existing.obstacles(replica.disks, offer.stored),
        *_addresses(spec, inventory),
    )


def _networks(replica: ReplicaPlan, offer: Offer) -> Iterator[Obstacle]:
    present = {network.name for network in offer.networks}
    for name in sorted({nic.network for nic in replica.nics} - present):
        yield Obstacle(
            Check.PORT_GROUPS,
            NotFound.code,
            f"there is no port group {name}; the replica's host has: {', '.join(sorted(present)) or 'none'}",
            "correct replica.networks in the job, or make the port group",
        )


def _capacity(replica: ReplicaPlan, offer: Offer) -> Iterator[Obstacle]:
    """The appliance holds the disks of all its jobs at once."""
    free = scsi.max_disks(offer.hardware) - offer.appliance_disks
    if len(replica.disks) > free:
        yield Obstacle(
            Check.APPLIANCE_DISKS,
            Conflict.code,
            f"the replica has {len(replica.disks)} disks; the appliance has room for {max(0, free)} more",
            "delete jobs of this appliance that are not needed, or deploy another appliance for new jobs",
        )


def disk_uuids(offer: Offer) -> Iterator[Obstacle]:
    """What keeps the appliance from finding any replica's disks, made already or not."""
    if not offer.disk_uuids:
        yield Obstacle(
            Check.DISK_UUIDS,
            Conflict.code,
            "the appliance's VM does not show its guest the UUIDs of disks, by which these are found",
            "shut the appliance down, set disk.EnableUUID to TRUE in the advanced configuration of its VM, "
            "and start it again",
        )


def _architecture(inventory: Inventory) -> Iterator[Obstacle]:
    if inventory.architecture not in _ARCHITECTURES:
        yield Obstacle(
            Check.ARCHITECTURE,
            UsageError.code,
            f"the source has {inventory.architecture} processors, on which ESXi for x86 cannot start it",
            "protect servers with x86-64 processors only",
        )


def _firmware(inventory: Inventory, workload: Workload, replica: ReplicaPlan) -> Iterator[Obstacle]:
    if replica.firmware is not inventory.firmware:
        yield _not_yet(
            Check.FIRMWARE,
            f"a source that starts by {inventory.firmware.value} as a replica that starts by "
            f"{replica.firmware.value}",
            "leave replica.firmware out",
        )
    elif replica.firmware is Firmware.UEFI and not _has_esp(workload):
        yield Obstacle(
            Check.FIRMWARE,
            UsageError.code,
            "the source starts by UEFI, but no EFI system partition of it is mounted",
            "mount it on the source at /boot/efi, and enter it in /etc/fstab",
        )


def _has_esp(workload: Workload) -> bool:
    return any(volume.role is PartitionRole.EFI_SYSTEM for volume in workload.volumes)


def _volumes(workload: Workload, spec: JobSpec) -> Iterator[Obstacle]:
    encrypted = [volume.title for volume in workload.volumes if volume.encrypted]
    if encrypted and not spec.replica.storage.unencrypted:
        yield Obstacle(
            Check.VOLUMES,
            UsageError.code,
            f"{', '.join(encrypted)}: encrypted on the source, but the replica's disks would not be",
            "encrypt the replica or its datastore in vSphere, then say replica.storage.unencrypted: true",
        )
    for volume in workload.volumes:
        if "lvm" in volume.layers:
            yield Obstacle(
                Check.VOLUMES,
                NotFound.code,
                f"{volume.title}: the source could not tell which volume group it is in",
                "install lvm2 on the source, and check that the source service runs as root",
            )


def _addresses(spec: JobSpec, inventory: Inventory) -> Iterator[Obstacle]:
    """The members of a bond or bridge have its addresses together."""
    named = [nic for nic in inventory.nics if nic.name in spec.replica.addresses]
    for link in inventory.network.links:
        members = [nic.name for nic in named if inventory.holder(nic) is link]
        if members[1:]:
            yield Obstacle(
                Check.ADDRESSES,
                UsageError.code,
                f"replica.addresses names {', '.join(members)}, which are all below {link.name}",
                "name one of them; its addresses are given to what is above it",
            )


def _not_yet(check: Check, what: str, hint: str) -> Obstacle:
    return Obstacle(check, UsageError.code, f"not supported yet: {what}", hint)
