"""What a job may ask of its replica, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.model import scsi
from dtesx.model.layout import DiskFormat
from dtesx.model.replica import (
    AddressSpec,
    DiskSpec,
    DiskStrategy,
    GroupSpec,
    ReplicaSpec,
    StorageSpec,
    datastore_of,
)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (ReplicaSpec, {"datastore": ""}, "replica.datastore must name"),
        (ReplicaSpec, {"datastore": "d", "sockets": 129}, "replica.sockets must be between 1 and 128"),
        (ReplicaSpec, {"datastore": "d", "sockets": 16, "cores_per_socket": 16}, "at most 128 CPUs"),
        (ReplicaSpec, {"datastore": "d", "memory_mib": 100}, "replica.memory_mib must be at least 512"),
        (
            ReplicaSpec,
            {"datastore": "d", "host": "h", "cluster": "c"},
            "a host, a cluster or a resource pool",
        ),
        (DiskSpec, {"size": "big"}, "size: 'big' is not a size"),
        (DiskSpec, {"size": "100"}, "size: 100 is less than 1 MiB"),
        (DiskSpec, {"existing": "a.vmdk"}, "existing: 'a.vmdk' is not the path of a virtual disk"),
        (DiskSpec, {"existing": "[d] a/a-flat.vmdk"}, "is not the path of a virtual disk"),
        (DiskSpec, {"existing": "[d] a/a.vmdk", "datastore": "e"}, "is not on the datastore e"),
        (DiskSpec, {"existing": "[d] a/a.vmdk", "size": "1GiB"}, "existing disk has a size"),
        (DiskSpec, {"existing": "[d] a/a.vmdk", "format": DiskFormat.THIN}, "has a size and a format"),
        (GroupSpec, {"volumes": {"root": "x"}}, "volumes: 'x' is not a size"),
        (GroupSpec, {"existing": ("[d] a/a.vmdk",), "volumes": {"root": "1GiB"}}, "existing disks have"),
        (StorageSpec, {"partitions": {"/": DiskSpec()}}, "partitions: belongs to the strategy per-volume"),
        (StorageSpec, {"groups": {"vg": GroupSpec()}}, "groups: belongs to the strategy per-volume"),
        (
            StorageSpec,
            {"strategy": DiskStrategy.PER_VOLUME, "disks": {"sda": DiskSpec()}},
            "disks: belongs to the strategy match-source",
        ),
        (AddressSpec, {"addresses": ()}, "addresses: name at least one"),
        (AddressSpec, {"addresses": ("10.0.0.5",)}, "has no prefix length; write 10.0.0.5/24"),
        (AddressSpec, {"addresses": ("10.0.0.500/24",)}, "is no address such as"),
        (AddressSpec, {"addresses": ("10.0.0.5/24",), "gateways": ("10.9.0.1",)}, "is in no network"),
        (
            AddressSpec,
            {"addresses": ("10.0.0.5/24",), "gateways": ("10.0.0.1", "10.0.0.2")},
            "keep one for IPv4",
        ),
        (AddressSpec, {"addresses": ("10.0.0.5/24",), "dns": ("here",)}, "dns: 'here' is no IP address"),
    ],
)
def test_mistakes_name_their_field(kind: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-z_.]+[: ]") as caught:
        kind(**options)
    assert words in str(caught.value)


def test_both_families_have_a_gateway() -> None:
    AddressSpec(("10.0.0.5/24", "2001:db8::5/64"), ("10.0.0.1", "fe80::1"), ("2001:db8::53",))


def test_where_an_existing_disk_is() -> None:
    assert datastore_of("[my store] a b/c.vmdk") == "my store"
    assert datastore_of("") == ""


def test_cards_by_name_by_default_and_left_out() -> None:
    replica = ReplicaSpec("d", networks={"*": "Office", "eth1": None, "eth2": "Backup"})
    assert [replica.network_for(name) for name in ("eth0", "eth1", "eth2")] == ["Office", None, "Backup"]
    assert ReplicaSpec("d", networks={"eth1": "x"}).network_for("eth0") is None


@given(st.integers(0, 30))
def test_each_place_is_there_once_and_none_is_the_controllers(hardware: int) -> None:
    places = list(scsi.places(hardware))
    assert len(places) == len(set(places)) == scsi.max_disks(hardware) == (256 if hardware >= 14 else 60)
    assert all(place.unit != 7 for place in places)
