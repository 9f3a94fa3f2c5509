"""The JSON schema of the job file, made from the model that also decodes it."""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from typing import Any

import msgspec

from dtesx.model.inventory import Firmware
from dtesx.model.job import JobSpec
from dtesx.model.layout import DiskFormat
from dtesx.model.link import LinkSpec, QueueSpec, RateSpec
from dtesx.model.mirror import MAX_STREAMS, Compare
from dtesx.model.replica import (
    MAX_CPUS,
    MAX_MEMORY_MIB,
    MIN_MEMORY_MIB,
    AddressSpec,
    DiskSpec,
    DiskStrategy,
    GroupSpec,
    ReplicaSpec,
    StorageSpec,
)
from dtesx.model.snapshots import MAX_KEPT, SnapshotSpec
from dtesx.model.specs import (
    MAX_EPOCH,
    MIN_EPOCH,
    FailoverSpec,
    MirrorSpec,
    ReplicationSpec,
    WorkloadSpec,
)
from dtesx.model.target import MAX_MEMORY, MAX_RETRY_DELAY, TargetOptions

NAME_PATTERN = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"

FIELDS: dict[type, dict[str, dict[str, Any]]] = {
    JobSpec: {
        "name": {
            "description": "The job's name: 1 to 63 lower-case letters, digits and hyphens.",
            "pattern": NAME_PATTERN,
            "examples": ["alpha"],
        },
        "source": {
            "description": "The source server, by its name in `dtesx server add`.",
            "examples": ["alpha"],
        },
        "vmware": {
            "description": "The vCenter or ESXi host, by its name in `dtesx vmware add`.",
            "examples": ["vc"],
        },
        "replica": {"description": "The replica VM."},
        "mirror": {"description": "Which files travel."},
        "replication": {"description": "What follows the mirror."},
        "link": {"description": "How source and target are joined: when and how fast data travel."},
        "target": {"description": "How the target deals with what arrives."},
        "workload": {"description": "What of the source is protected."},
        "snapshots": {"description": "VMware snapshots that the job takes by itself."},
        "failover": {"description": "What belongs to a failover."},
        "route": {
            "description": "The appliance's address as the source reaches it; "
            "empty: the address from which the appliance reaches the source."
        },
    },
    ReplicaSpec: {
        "datastore": {"description": "The datastore that keeps the replica's disks.", "minLength": 1},
        "name": {"description": "The replica's name in vSphere; empty: the job's name and `-replica`."},
        "host": {
            "description": "The ESXi host that the VM is made on; empty: the appliance's. "
            "At most one of host, cluster and resource_pool."
        },
        "cluster": {"description": "The cluster that the VM is made in; empty: the appliance's host."},
        "resource_pool": {"description": "The resource pool; empty: the appliance's."},
        "folder": {"description": "The VM folder; empty: the appliance's."},
        "sockets": {
            "description": "Number of processor sockets; 0: as the source has.",
            "minimum": 0,
            "maximum": MAX_CPUS,
        },
        "cores_per_socket": {
            "description": "Cores of each socket; 0: as the source has, its threads counted as cores.",
            "minimum": 0,
            "maximum": MAX_CPUS,
        },
        "memory_mib": {
            "description": f"Memory in MiB, at least {MIN_MEMORY_MIB}; 0: as the source has.",
            "minimum": 0,
            "maximum": MAX_MEMORY_MIB,
        },
        "firmware": {"description": "What starts the replica; null: what starts the source."},
        "disk_format": {"description": "How vSphere provides the disks' space; storage may differ."},
        "storage": {"description": "The replica's disks."},
        "networks": {
            "description": "Port group for each of the source's network interfaces, by its name; "
            '"*" stands for every interface not named, null leaves one out.',
            "default": {"*": "VM Network"},
            "examples": [{"eth0": "VM Network", "eth1": None, "*": "Isolated"}],
        },
        "addresses": {
            "description": "What network interfaces are called by after failover, by their names; "
            "an interface that is not named keeps all of its addresses.",
        },
    },
    StorageSpec: {
        "strategy": {
            "description": "One disk for each of the source's, or one for each volume and as many as "
            "needed for each volume group."
        },
        "disks": {
            "description": "With match-source: disks by their names on the source.",
            "examples": [{"sda": {"format": "thick"}}],
        },
        "partitions": {
            "description": "With per-volume: partitions by mount point, swap by its device.",
            "examples": [{"/srv": {"size": "100GiB", "datastore": "slow"}}],
        },
        "groups": {
            "description": "With per-volume: volume groups by their names.",
            "examples": [{"vg0": {"size": "200GiB", "volumes": {"root": "30GiB"}}}],
        },
        "unencrypted": {
            "description": "The replica may hold in clear what is encrypted on the source.",
        },
    },
    DiskSpec: {
        "datastore": {"description": "Where the disk is; empty: replica.datastore."},
        "format": {"description": "How its space is provided; null: replica.disk_format."},
        "size": {
            "description": "Size of the disk, with per-volume of the partition; empty: as on the source. "
            "At least what is on it.",
            "examples": ["40GiB"],
        },
        "existing": {
            "description": "Datastore path of a virtual disk to be used instead of a new one.",
            "examples": ["[datastore1] alpha-replica/alpha-replica.vmdk"],
        },
    },
    GroupSpec: {
        "datastore": {"description": "Where its disks are; empty: replica.datastore."},
        "format": {"description": "How their space is provided; null: replica.disk_format."},
        "size": {
            "description": "Size of the group; empty: as on the source. At least what its volumes need.",
            "examples": ["500GiB"],
        },
        "disk_size": {
            "description": "Most of one virtual disk; empty: 62 TiB. The group gets as many as it needs.",
            "examples": ["2TiB"],
        },
        "volumes": {
            "description": "Sizes of logical volumes by their names; others are as on the source.",
            "examples": [{"root": "30GiB"}],
        },
        "existing": {"description": "Datastore paths of virtual disks that hold the group already."},
    },
    AddressSpec: {
        "addresses": {
            "description": "Addresses with prefix lengths, IPv4 and IPv6.",
            "examples": [["10.1.0.5/24", "2001:db8::5/64"]],
        },
        "gateways": {"description": "Default gateways, at most one for IPv4 and one for IPv6."},
        "dns": {"description": "Name servers, the first one asked first."},
    },
    WorkloadSpec: {
        "volumes": {
            "description": "Mount points that are protected besides /, /usr, /boot and the EFI system "
            "partition; null: all.",
            "examples": [["/srv", "/var/lib/mysql"]],
        },
    },
    MirrorSpec: {
        "compare": {"description": "Which files a repeated mirror sends."},
        "exclude": {
            "description": "Absolute paths on the source that stay behind.",
            "items": {"type": "string", "pattern": "^/."},
            "examples": [["/var/cache"]],
        },
    },
    ReplicationSpec: {
        "enabled": {
            "description": "Whether what changes travels on after a mirror; no: the job only mirrors."
        },
        "epoch": {
            "description": "Seconds from one epoch to the next.",
            "minimum": MIN_EPOCH,
            "maximum": MAX_EPOCH,
        },
        "consistent_every": {
            "description": "Seconds from one crash-consistent epoch to the next; 0: none.",
            "minimum": 0,
            "maximum": MAX_EPOCH,
        },
        "hooks": {
            "description": "The hooks of the source that prepare its applications for consistent epochs,"
            " as its administrator named them: `dtesx service source --hooks FILE`; empty: none.",
            "examples": ["postgresql"],
        },
    },
    SnapshotSpec: {
        "every": {
            "description": "How often, at least every 10 minutes; empty: none.",
            "examples": ["1h"],
        },
        "keep": {
            "description": "How many of those taken at set times are kept; the oldest makes room.",
            "minimum": 1,
            "maximum": MAX_KEPT,
        },
        "start": {
            "description": "When the first is taken, in the appliance's local time; empty: at once.",
            "examples": ["2026-11-22 01:00"],
        },
    },
    FailoverSpec: {
        "before": {
            "description": "A task that runs on the appliance when a failover begins, as its administrator "
            "named it: `dtesx service appliance --tasks FILE`; empty: none.",
            "examples": ["announce"],
        },
    },
    LinkSpec: {
        "bandwidth": {
            "description": "Most that is sent in any second; empty: no limit.",
            "examples": ["20MB/s", "80Mbit/s"],
        },
        "window": {
            "description": "Nothing travels outside of it; it may pass midnight.",
            "examples": ["21:00-04:00"],
        },
        "start": {
            "description": "When the first session begins; empty: at once.",
            "examples": ["2026-11-21 22:00"],
        },
        "interval": {"description": "A session begins every so often after the start.", "examples": ["1d"]},
        "threshold": {
            "description": "How full the queue must be for a session to begin; 0: not at all.",
            "examples": ["40%"],
        },
        "time_limit": {"description": "A session ends after so long.", "examples": ["2h"]},
        "byte_limit": {"description": "A session ends after so much; 0: no limit.", "examples": ["50GB"]},
        "rates": {"description": "Other limits at some times of the day; the first open window counts."},
        "queue": {"description": "Where data wait that may not travel yet; null: as its defaults say."},
        "compress": {
            "description": "zstd: off, auto (only what shrinks) or a level from 1 to 19.",
            "examples": ["auto", 3],
        },
        "streams": {"description": "Connections side by side.", "minimum": 1, "maximum": MAX_STREAMS},
    },
    TargetOptions: {
        "retry_delay": {
            "description": "Seconds until an operation that failed for a passing reason is tried again.",
            "exclusiveMinimum": 0,
            "maximum": MAX_RETRY_DELAY,
        },
        "memory_high": {
            "description": "Percentage of the target's memory that data may take that wait to be applied; "
            "then their source sends nothing more.",
            "minimum": 1,
            "maximum": MAX_MEMORY,
        },
        "memory_low": {
            "description": "The source goes on when they take less than that.",
            "minimum": 1,
            "maximum": MAX_MEMORY,
        },
        "queue_limit": {
            "description": "Bytes of epochs that wait while the target is paused; then their source "
            "waits. 0: no limit.",
            "minimum": 0,
        },
        "queue_free": {
            "description": "Bytes that epochs which wait leave free where they are kept.",
            "minimum": 0,
        },
    },
    RateSpec: {
        "window": {"description": "When the limit holds, every day.", "examples": ["08:00-18:00"]},
        "bandwidth": {"description": "Most that is sent in any second.", "examples": ["2MB/s"]},
    },
    QueueSpec: {
        "memory": {"description": "Memory for the queue, at least 32 MiB."},
        "folder": {
            "description": "Directory on the source for what does not fit into memory; empty: none.",
            "examples": ["/var/spool/dtesx"],
        },
        "disk": {"description": "Most that is kept there; empty: no limit, 0: nothing."},
        "minimum_free": {"description": "What is left free there in any case."},
        "alert": {"description": "How full its part of the disk must be for a warning in the log."},
        "pending": {"description": "Most frames (about 1 MiB each) that wait.", "minimum": 1},
    },
}
"""What the model's types cannot say of a field: its meaning and its limits."""

_TYPES: tuple[type, ...] = (
    JobSpec,
    ReplicaSpec,
    StorageSpec,
    DiskSpec,
    GroupSpec,
    AddressSpec,
    WorkloadSpec,
    MirrorSpec,
    ReplicationSpec,
    SnapshotSpec,
    FailoverSpec,
    LinkSpec,
    TargetOptions,
    RateSpec,
    QueueSpec,
    DiskFormat,
    DiskStrategy,
    Firmware,
    Compare,
)


def job_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``job.yaml``; editors and the documentation use it."""
    made = msgspec.json.schema(JobSpec)
    definitions: dict[str, dict[str, Any]] = made["$defs"]
    for kind in _TYPES:
        definition = definitions[kind.__name__]
        definition["description"] = inspect.cleandoc(kind.__doc__ or "")
        if is_dataclass(kind):
            definition["additionalProperties"] = False
        for name, more in FIELDS.get(kind, {}).items():
            definition["properties"][name].update(more)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "dtesx job", **made}
    return msgspec.json.decode(msgspec.json.encode(whole), type=dict[str, Any])
