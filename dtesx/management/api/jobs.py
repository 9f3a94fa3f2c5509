"""Calls about jobs and their recovery points."""

from __future__ import annotations

from dtesx.management.jobs import Jobs
from dtesx.management.web import Call, Rule
from dtesx.model.api import FailoverRequest, JobInfo, NewMirror, NewSnapshot, SnapshotInfo
from dtesx.model.job import JobSpec, Operation


def rules(jobs: Jobs) -> tuple[Rule, ...]:
    """``/v1/jobs``."""

    def create(call: Call) -> JobInfo:
        rebind = call.choice("rebind", ("no", "yes")) == "yes"
        return jobs.create(call.decoded(JobSpec), rebind=rebind)

    def show_all(_call: Call) -> tuple[JobInfo, ...]:
        return jobs.all()

    def show(call: Call) -> JobInfo:
        return jobs.info(call.path["name"])

    def delete(call: Call) -> Operation:
        keep = call.choice("replica", ("keep", "delete")) == "keep"
        return jobs.delete(call.path["name"], keep_replica=keep)

    def mirror(call: Call) -> Operation:
        return jobs.mirror(call.path["name"], rebind=call.decoded(NewMirror).rebind)

    def take_snapshot(call: Call) -> Operation:
        return jobs.take_snapshot(call.path["name"], call.decoded(NewSnapshot))

    def snapshots(call: Call) -> tuple[SnapshotInfo, ...]:
        return jobs.snapshots(call.path["name"])

    def failover(call: Call) -> Operation:
        return jobs.failover(call.path["name"], call.decoded(FailoverRequest))

    return (
        Rule("POST", "/v1/jobs", create),
        Rule("GET", "/v1/jobs", show_all),
        Rule("GET", "/v1/jobs/{name}", show),
        Rule("DELETE", "/v1/jobs/{name}", delete),
        Rule("POST", "/v1/jobs/{name}/mirror", mirror),
        Rule("POST", "/v1/jobs/{name}/snapshots", take_snapshot),
        Rule("GET", "/v1/jobs/{name}/snapshots", snapshots),
        Rule("POST", "/v1/jobs/{name}/failover", failover),
    )
