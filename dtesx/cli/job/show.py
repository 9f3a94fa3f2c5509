"""``dtesx job show``."""

from __future__ import annotations

from dtesx.cli import output, session, steps, watching
from dtesx.cli.formats import epoch_line, moment, rate, seconds, size
from dtesx.cli.params import Job, Json
from dtesx.model.api import JobInfo, JobReplication
from dtesx.model.replication import ReplicationSwitch
from dtesx.model.stats import MirrorStats
from dtesx.model.validation import Health, Verdict

_PROBLEMS_SHOWN = 10


def show_job(job: Job, json: Json = False) -> None:
    """Show one job: state, replica, last mirror, last operation."""
    found = session.appliance().job(job)
    if json:
        output.document(found)
    else:
        print_job(found)


def print_job(job: JobInfo) -> None:
    """Print a job for people."""
    output.pairs(
        [
            ("name", job.spec.name),
            ("state", job.state),
            ("source", job.spec.source),
            ("VMware server", job.spec.vmware),
            ("datastore", job.spec.replica.datastore),
            ("created", moment(job.created)),
            ("last mirror", _mirror(job.mirror, job.mirrored_at) if job.mirror else "none yet"),
            ("would start", would_start(job.health)),
            *_replication(job),
            *_replica(job),
            *([("vSphere", job.vsphere.message)] if job.vsphere is not None else []),
            *([("bandwidth", rate(job.bandwidth))] if job.bandwidth is not None else []),
            *([("target", "paused; nothing is applied")] if job.target_paused else []),
        ]
    )
    if job.problem:
        output.line(f"problem: {job.problem.message}", style="red")
        if job.problem.hint:
            output.line(f"hint: {job.problem.hint}")
    if job.health:
        _print_health(job.health)
    if job.mirror and job.mirror.problems:
        _print_problems(job.mirror)
    if job.operation:
        output.line("")
        output.line(watching.title(job.operation, job.spec.name), style="bold")
        for step in job.operation.steps:
            output.line("  " + steps.describe(step))


def _mirror(stats: MirrorStats, when: float) -> str:
    return (
        f"{moment(when)}: {stats.files_total} files, {size(stats.bytes_total)};"
        f" sent {stats.files_sent} files, {size(stats.bytes_sent)} in {seconds(stats.seconds)}"
    )


def _replication(job: JobInfo) -> list[tuple[str, str]]:
    found = job.replication
    if found is None:
        return [("replication", "none; the job only mirrors")]
    rows = [("replication", _state(found, job.spec.name))]
    if found.epoch is not None:
        rows.append(("last epoch", epoch_line(found.epoch)))
    if found.report is not None and found.report.recovery_point_latency is not None:
        rows.append(("recovery point", f"{seconds(found.report.recovery_point_latency)} behind"))
    if found.report is not None and found.report.unquiesced:
        rows.append(("not quiesced", found.report.unquiesced))
    if found.problem is not None:
        rows.append(("not replicating", found.problem.message))
    return rows


def _state(found: JobReplication, name: str) -> str:
    if found.switch is ReplicationSwitch.PAUSED:
        return f"paused; go on with: dtesx job resume {name}"
    if found.switch is ReplicationSwitch.STOPPED:
        return f"stopped; go on with: dtesx job mirror {name}"
    if found.report is None:
        return "not told yet"
    return found.report.replication_status


def _replica(job: JobInfo) -> list[tuple[str, str]]:
    if job.replica is None:
        return [("replica", f"{job.spec.replica_name} (not made yet)")]
    power = "powered on" if job.replica.powered_on else "powered off"
    return [
        ("replica", f"{job.replica.name}, {power}"),
        ("replica disks", ", ".join(size(disk.size_bytes) for disk in job.replica.disks)),
        ("replica address", job.replica.guest_address),
    ]


def would_start(health: Health | None) -> str:
    """Whether the replica would start, in a few words."""
    if health is None:
        return "not looked at yet"
    words = {
        Verdict.PASSED: "yes",
        Verdict.WARNING: "yes, with warnings",
        Verdict.ERROR: "no",
    }
    return f"{words[health.verdict]} (as of {moment(health.at)})"


def _print_health(health: Health) -> None:
    for finding in health.findings:
        if finding.verdict is not Verdict.PASSED:
            style = "red" if finding.verdict is Verdict.ERROR else "yellow"
            output.line(f"{finding.verdict.value}: {finding.message}", style=style)
            output.line(f"  {finding.hint}")


def _print_problems(stats: MirrorStats) -> None:
    output.line(f"{len(stats.problems)} paths could not be mirrored:", style="yellow")
    for problem in stats.problems[:_PROBLEMS_SHOWN]:
        output.line(f"  {problem.path}: {problem.reason}")
    if len(stats.problems) > _PROBLEMS_SHOWN:
        output.line("  ... all of them with --json")
