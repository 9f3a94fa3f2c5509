"""Whether a job's replica would start: looked at in its tree, long before it has to."""

from __future__ import annotations

from dataclasses import replace

from dtesx.base.errors import DtesxError
from dtesx.boot import check
from dtesx.model.record import JobRecord
from dtesx.model.validation import Finding, Health, Verdict
from dtesx.model.vmware import VirtualNic
from dtesx.recovery.ports import Surroundings
from dtesx.recovery.run import Run
from dtesx.recovery.transfer import layout, replica
from dtesx.recovery.wiring import wiring
from dtesx.volumes.mounts import mounted_flat

_WORDS = {
    Verdict.PASSED: "the replica would start",
    Verdict.WARNING: "the replica would start, not all as on the source",
    Verdict.ERROR: "the replica would not start",
}


def look(run: Run) -> None:
    """Keep what the replica's tree says about its start. That it cannot be asked now stops nothing."""
    try:
        with run.site.vsphere() as vsphere:
            nics = replica(run.record, vsphere).nics
        health = Health(run.clock(), findings(run.record, run.site, nics))
    except DtesxError as error:
        run.detail(f"not checked: {error.message}")
        return
    run.keep(replace(run.record, health=health))
    run.detail(_WORDS[health.verdict])


def findings(record: JobRecord, site: Surroundings, nics: tuple[VirtualNic, ...]) -> tuple[Finding, ...]:
    """What the tree says that the job's worker has mounted now. Raises Conflict when it has not.

    ``nics`` are the replica's network cards.
    """
    planned, where = layout(record), site.directory / "replica"
    found = check.check(mounted_flat(planned, where), planned, wiring(record, nics))
    mounted_flat(planned, where)  # what was unmounted meanwhile looked empty
    return found
