"""Mistakes in job files are named with file, line and field."""

from __future__ import annotations

import dataclasses
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.base.errors import ExitCode, UsageError
from dtesx.cli import jobfile
from dtesx.management.schema import job_schema
from dtesx.model.inventory import Firmware
from dtesx.model.job import JobSpec
from dtesx.model.layout import DiskFormat
from dtesx.model.link import LinkSpec, QueueSpec, RateSpec
from dtesx.model.mirror import Compare
from dtesx.model.replica import (
    AddressSpec,
    DiskSpec,
    DiskStrategy,
    GroupSpec,
    ReplicaSpec,
    StorageSpec,
)
from dtesx.model.specs import MirrorSpec, ReplicationSpec, WorkloadSpec

from .conftest import Run

GOOD = """\
name: web
source: alpha
vmware: vc1
route: 10.0.0.1
replica:
  datastore: ds1
  sockets: 2
  disk_format: thick
  networks: {"*": Office, eth1: Backup}
mirror:
  compare: none
  exclude: [/var/cache]
link:
  bandwidth: 20MB/s
  window: 21:00-04:00
  rates: [{window: 22:00-23:00, bandwidth: 5000}]
  compress: off
replication:
  epoch: 5
"""


def _message(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        jobfile.parse(text, "job.yaml")
    assert caught.value.hint
    return caught.value.message


def test_a_whole_file() -> None:
    assert jobfile.parse(GOOD, "job.yaml") == JobSpec(
        "web",
        "alpha",
        "vc1",
        ReplicaSpec(
            "ds1", sockets=2, disk_format=DiskFormat.THICK, networks={"*": "Office", "eth1": "Backup"}
        ),
        MirrorSpec(Compare.NONE, ("/var/cache",)),
        ReplicationSpec(epoch=5),
        LinkSpec("20MB/s", window="21:00-04:00", rates=(RateSpec("22:00-23:00", 5000),), compress="off"),
        route="10.0.0.1",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: web", "nmae: web", "job.yaml:1: unknown field nmae; did you mean name?"),
        ("  datastore: ds1", "  datastor: ds1", "job.yaml:6: unknown field replica.datastor; did you mean"),
        ("  sockets: 2", "  sockets: '2'", "job.yaml:7: replica.sockets must be a whole number, not text"),
        ("  epoch: 5", "  epoch: 0", "job.yaml:19: replication.epoch must be between 0.1 and 3600"),
        ("  sockets: 2", "  sockets: 999", "job.yaml:7: replica.sockets must be between 1 and 128"),
        ("vmware: vc1", "vmware: 1", "job.yaml:3: vmware must be text, not a whole number"),
        ("vmware: vc1", "vmware: true", "job.yaml:3: vmware must be text, not yes/no"),
        ("vmware: vc1\n", "", "job.yaml: vmware is missing"),
        ("  datastore: ds1\n", "", "job.yaml:5: replica.datastore is missing"),
        ("name: web", "name: WEB", "job.yaml:1: name: 'WEB' must be 1-63 lower-case"),
        ("thick", "fat", "job.yaml:8: replica.disk_format: Invalid enum value 'fat'"),
        ("[/var/cache]", "[cache]", "job.yaml:12: mirror.exclude: 'cache' must be an absolute path"),
        ("[/var/cache]", "[1]", "mirror.exclude[0] must be text, not a whole number"),
        ("  sockets: 2", "  sockets: 2\n  sockets: 3", "job.yaml:8: replica.sockets is given twice"),
        ("name: web", "name: [", "job.yaml: not valid YAML: line "),
        ("name: web", "? [a, b]\n: c\nname: web", "not valid YAML: line 1"),
        ("20MB/s", "fast", "job.yaml:14: link.bandwidth: 'fast' is not a rate"),
        ("21:00-04:00", "21:00", "job.yaml:15: link.window: '21:00' is no window"),
        ("bandwidth: 5000", "bandwith: 5000", "job.yaml:16: unknown field link.rates[0].bandwith; did you"),
        ("compress: off", "compress: 20", "job.yaml:17: link.compress: compression is off"),
        ("compress: off", "streams: 17", "job.yaml:17: link.streams: 1 to 16"),
        ("compress: off", "queue: {memory: 1}", "job.yaml:17: link.queue.memory: at least 32 MiB"),
    ],
)
def test_mistakes(old: str, new: str, message: str) -> None:
    assert old in GOOD
    assert message in _message(GOOD.replace(old, new))


@pytest.mark.parametrize("text", ["", "- a\n", "hello", "[" * 5000, "a: &x [*x]"])
def test_what_is_no_job_at_all(text: str) -> None:
    assert _message(text).startswith("job.yaml")


_KNOWN = {
    f.name
    for kind in (JobSpec, ReplicaSpec, MirrorSpec, LinkSpec, QueueSpec)
    for f in dataclasses.fields(kind)
}
_KEYS = st.text(string.ascii_lowercase + "_", min_size=1, max_size=12).filter(
    lambda key: key not in _KNOWN | {"y", "n", "no", "on", "off", "yes", "true", "false", "null"}
)


@given(_KEYS, st.sampled_from(["", "replica", "mirror", "link"]))
def test_an_unknown_field_is_never_ignored(key: str, block: str) -> None:
    stray = f"{key}: 1\n"
    text = GOOD.replace(f"{block}:\n", f"{block}:\n  {stray}") if block else GOOD + stray
    assert f"unknown field {block}{'.' if block else ''}{key}" in _message(text)


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fall_over(text: str) -> None:
    with pytest.raises(UsageError):
        jobfile.parse(text, "job.yaml")


WHOLE = """\
name: web
source: alpha
vmware: vc1
workload: {volumes: [/srv]}
replica:
  datastore: ds1
  cluster: Gold
  firmware: uefi
  networks: {eth0: Office, eth1: null}
  addresses:
    eth0: {addresses: [192.0.2.5/24], gateways: [192.0.2.1], dns: [192.0.2.53]}
  storage:
    strategy: per-volume
    partitions:
      /boot: {size: 2GiB, format: thick}
    groups:
      vg0:
        disk_size: 2TiB
        volumes: {root: 30GiB}
"""


def test_every_option_of_the_replica() -> None:
    spec = jobfile.parse(WHOLE, "job.yaml")
    assert spec.workload == WorkloadSpec(("/srv",))
    assert spec.replica == ReplicaSpec(
        "ds1",
        cluster="Gold",
        firmware=Firmware.UEFI,
        networks={"eth0": "Office", "eth1": None},
        addresses={"eth0": AddressSpec(("192.0.2.5/24",), ("192.0.2.1",), ("192.0.2.53",))},
        storage=StorageSpec(
            DiskStrategy.PER_VOLUME,
            partitions={"/boot": DiskSpec(size="2GiB", format=DiskFormat.THICK)},
            groups={"vg0": GroupSpec(disk_size="2TiB", volumes={"root": "30GiB"})},
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "disk_size:",
            "disc_size:",
            "job.yaml:18: unknown field replica.storage.groups.vg0.disc_size; did you",
        ),
        (
            "size: 2GiB",
            "size: 2k",
            "job.yaml:14: replica.storage.partitions[...].size: 2k is less than 1 MiB",
        ),
        ("per-volume", "match-source", "replica.storage.partitions: belongs to the strategy per-volume"),
        ("192.0.2.5/24", "192.0.2.5", "has no prefix length"),
        ("cluster: Gold", "cluster: Gold\n  host: esx1", "job.yaml:8: replica.host: name a host, a cluster"),
        ("[/srv]", "[srv]", "job.yaml:4: workload.volumes: 'srv' is not a mount point"),
    ],
)
def test_mistakes_deep_within(old: str, new: str, message: str) -> None:
    assert old in WHOLE
    assert message in _message(WHOLE.replace(old, new))


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    done = run("job", "create", "-f", str(tmp_path / "absent.yaml"))
    assert done.code == ExitCode.USAGE
    assert "absent.yaml cannot be read" in done.err


def test_the_schema_is_printed(run: Run) -> None:
    assert run("job", "schema").document == job_schema()


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("test_failover:\n  vm: other", "test_failover: dtesx makes no test failovers yet"),
        ("monitor: {}", "monitor: dtesx does not watch sources yet"),
        ("failover:\n  after: x", "failover.after: dtesx runs nothing on the replica"),
        ("mirror:\n  orphans: keep", "mirror.orphans: a replica has what its source has"),
    ],
)
def test_what_is_not_there_yet_is_refused_in_a_sentence(field: str, words: str) -> None:
    text = f"name: a\nsource: a\nvmware: v\nreplica: {{datastore: d}}\n{field}\n"
    with pytest.raises(UsageError) as caught:
        jobfile.parse(text, "job.yaml")
    assert words in caught.value.message
    assert caught.value.message.startswith("job.yaml:5: ") or caught.value.message.startswith("job.yaml:6: ")
