from __future__ import annotations

from dataclasses import replace

import pytest

from dtesx.cli.job.plan import print_plan
from dtesx.model.job import JobSpec
from dtesx.model.layout import LogicalVolume, PartitionRole, Subvolume, VolumeGroup
from dtesx.model.replica import ReplicaSpec
from dtesx.planning.plan import plan_job
from tests.unit.planning.sources import fs, inventory, offer


def test_subvolumes_are_shown_below_what_they_are_in(capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_job(JobSpec("web", "alpha", "vc", ReplicaSpec("ds")), inventory(fs("/")), offer())
    inside = (Subvolume("@srv", "/srv"), Subvolume("@srv/a", "/srv/a", mounted=False))
    volume = LogicalVolume("data", PartitionRole.FILE_SYSTEM, 1 << 30, "btrfs", "u", "", "/srv", inside)
    group = VolumeGroup("vg0", 4 << 20, 1 << 30, (volume,))
    print_plan(replace(plan, layout=replace(plan.layout, groups=(group,))))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    at = lines.index("vg0 1.0 GiB 4.0 MiB data 1.0 GiB btrfs /srv")
    assert lines[at + 1 : at + 3] == ["subvolume @srv /srv", "subvolume @srv/a /srv/a"]
