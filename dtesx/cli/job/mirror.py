"""``dtesx job mirror``."""

from __future__ import annotations

from dtesx.cli import output, session, watching
from dtesx.cli.formats import seconds, size
from dtesx.cli.params import Job, Json, NoWait, Rebind


def mirror_job(job: Job, rebind: Rebind = False, no_wait: NoWait = False, json: Json = False) -> None:
    """Mirror a job's files again.

    What differs is sent; what is gone on the source is removed from the replica. A file system that
    is suddenly empty, not mounted or another one halts the mirror (exit code 10): look at the source
    first; --rebind says that it is as you want it. A job that replicates does so again afterwards.
    """
    api = session.appliance()
    operation = api.mirror(job, rebind=rebind)
    if not no_wait:
        again = f"dtesx job mirror {job}{' --rebind' if rebind else ''}"
        operation = watching.finish(api, operation, job, as_json=json, again=again)
    if json:
        output.document(operation)
        return
    if no_wait:
        output.line(f"mirroring {job}; look at it with: dtesx job watch {job}")
        return
    stats = api.job(job).mirror
    if stats is not None:
        output.line(
            f"{stats.files_sent} of {stats.files_total} files sent, {size(stats.bytes_sent)},"
            f" {stats.orphans_removed} orphans removed, {seconds(stats.seconds)}"
        )
