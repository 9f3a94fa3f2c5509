"""``dtesx job plan``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from dtesx.base.errors import ExitCode
from dtesx.cli import jobfile, output, session
from dtesx.cli.formats import size
from dtesx.cli.params import Json, complete_job
from dtesx.model.layout import Layout, Volume
from dtesx.model.plan import JobPlan
from dtesx.model.vmware import Whereabouts

Name = Annotated[str, typer.Argument(help="Name of a job that exists.", autocompletion=complete_job)]
File = Annotated[Path | None, typer.Option("--file", "-f", help="A job file (YAML); - reads standard input.")]


def plan_job(job: Name = "", file: File = None, json: Json = False) -> None:
    """Show what a job makes, and change nothing.

    The source and vSphere are asked now. Shown are the replica's disks with their places, partitions, volume
    groups and file systems, the datastores before and after, the network cards, whatever differs from
    the source, and what stands against the plan (exit code 1). Of a job that exists the replica is shown
    that it has.
    """
    jobfile.check_choice(job, file, "plan")
    api = session.appliance()
    plan = api.plan(jobfile.load(file)) if file is not None else api.job_plan(job)
    if json:
        output.document(plan)
    else:
        print_plan(plan)
    if plan.obstacles:
        raise typer.Exit(ExitCode.PROBLEMS)


def print_plan(plan: JobPlan) -> None:
    """Print a plan for people."""
    output.pairs(_replica(plan))
    output.line("")
    _disks(plan.layout)
    if plan.layout.groups:
        output.line("")
        _groups(plan.layout)
    output.line("")
    _datastores(plan)
    output.line("")
    _cards(plan)
    _notes("Different from the source:", (f"{d.subject}: {d.source} -> {d.replica}" for d in plan.deviations))
    _notes("Not protected:", (f"{left.mount_point}: {left.reason}" for left in plan.left_out))
    _notes("Warnings:", (caution.message for caution in plan.warnings), style="yellow")
    _notes(
        "This plan cannot be carried out:",
        (f"{problem.message}; {problem.hint}" for problem in plan.obstacles),
        style="red",
    )


def _replica(plan: JobPlan) -> list[tuple[str, str]]:
    machine = plan.replica
    return [
        ("replica", machine.name),
        ("place", _place(machine.where)),
        ("datastore", machine.datastore),
        ("processors", f"{machine.sockets} sockets of {machine.cores_per_socket} cores"),
        ("memory", f"{machine.memory_mib} MiB"),
        ("starts by", machine.firmware.value.upper()),
        ("guest", machine.guest_id),
        ("excluded", ", ".join(plan.excluded)),
    ]


def _place(where: Whereabouts) -> str:
    named = (
        ("host", where.host),
        ("cluster", where.cluster),
        ("resource pool", where.resource_pool),
        ("folder", where.folder),
    )
    return ", ".join(f"{what} {name}" for what, name in named if name) or "beside the appliance"


def _disks(layout: Layout) -> None:
    output.table(
        ("DISK", "PLACE", "SIZE", "FORMAT", "DATASTORE", "FOR", "PART", "SIZE", "CONTENT", "MOUNT POINT"),
        _disk_rows(layout),
        empty="no disks",
    )


def _disk_rows(layout: Layout) -> Iterator[tuple[str, ...]]:
    for disk in layout.disks:
        form = f"existing: {disk.existing}" if disk.existing else disk.format.value
        place = f"SCSI({disk.bus}:{disk.unit})"
        named: tuple[str, ...] = (
            str(disk.index),
            place,
            size(disk.size_bytes),
            form,
            disk.datastore,
            disk.holds,
        )
        for part in disk.partitions:
            content = f"{part.role.value} {part.fs_type or part.group}".strip()
            yield (*named, str(part.number), size(part.size_bytes), content, part.mount_point)
            named = ("",) * len(named)
            yield from ((*named, "", "", *found) for found in _subvolumes(part))


def _groups(layout: Layout) -> None:
    output.table(
        ("VOLUME GROUP", "SIZE", "EXTENTS", "VOLUME", "SIZE", "CONTENT", "MOUNT POINT"),
        _group_rows(layout),
        empty="",
    )


def _group_rows(layout: Layout) -> Iterator[tuple[str, ...]]:
    for group in layout.groups:
        named: tuple[str, ...] = (group.name, size(group.size_bytes), size(group.extent_bytes))
        for volume in group.volumes:
            yield (*named, volume.name, size(volume.size_bytes), volume.fs_type, volume.mount_point)
            named = ("",) * len(named)
            yield from ((*named, "", "", *found) for found in _subvolumes(volume))


def _subvolumes(volume: Volume) -> Iterator[tuple[str, str]]:
    for found in volume.subvolumes:
        yield f"subvolume {found.path}".rstrip(), found.mount_point


def _datastores(plan: JobPlan) -> None:
    output.table(
        ("DATASTORE", "TYPE", "FREE NOW", "AT ONCE", "WHEN FULL", "FREE THEN"),
        [
            (
                use.name,
                use.type,
                size(use.free_bytes),
                size(use.at_once_bytes),
                size(use.needed_bytes),
                size(use.left_bytes),
            )
            for use in plan.datastores
        ],
        empty="no datastore of the plan is there",
    )


def _cards(plan: JobPlan) -> None:
    output.table(
        ("NIC", "MAC NOW", "PORT GROUP", "ADDRESSES", "GATEWAYS", "NAME SERVERS"),
        [
            (
                f"{nic.name} ({nic.master})" if nic.master else nic.name,
                nic.mac,
                f"{nic.network}{' (distributed)' if nic.distributed else ''}" or "left out",
                " ".join(nic.addresses),
                " ".join(nic.gateways),
                " ".join(nic.name_servers),
            )
            for nic in plan.nics
        ],
        empty="no network cards",
    )


def _notes(title: str, sentences: Iterable[str], *, style: str = "bold") -> None:
    found = list(sentences)
    if found:
        output.line("")
        output.line(title, style=style)
        for sentence in found:
            output.line(f"  {sentence}")
