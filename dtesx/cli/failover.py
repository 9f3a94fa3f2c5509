"""``dtesx failover``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli import ask, output, session, teach, watching
from dtesx.cli.params import Job, Json, NoWait, Yes
from dtesx.model.api import FailoverRequest

Live = Annotated[bool, typer.Option("--live", help="The real thing: the replica takes over.")]
NoFinalMirror = Annotated[
    bool,
    typer.Option("--no-final-mirror", help="Start from what the replica has, even if the source answers."),
]


def failover(
    job: Job,
    live: Live = False,
    no_final_mirror: NoFinalMirror = False,
    yes: Yes = False,
    no_wait: NoWait = False,
    json: Json = False,
) -> None:
    """Start the replica VM in place of the source server.

    If the source still answers, what it wrote last is sent, and then it is shut down: both machines
    carry the same identity. The replica is made bootable, gets its disks back from the
    appliance, is powered on, and its address is reported. If a step failed, set right what the
    message names and run the same command again; dtesx job mirror goes back to protecting.
    """
    if not live:
        raise UsageError("say which failover you mean", hint=f"dtesx failover {job} --live")
    ask.confirm(f"Start the replica of {job} in place of its source?", yes=yes)
    api = session.appliance()
    operation = api.failover(job, FailoverRequest(final_mirror=not no_final_mirror))
    again = f"dtesx failover {job} --live{' --no-final-mirror' if no_final_mirror else ''}"
    if not no_wait:
        operation = watching.finish(api, operation, job, as_json=json, again=again)
    if json:
        output.document(operation)
    elif no_wait:
        output.line(f"failing over {job}; look at it with: dtesx job watch {job}")
    else:
        output.line(f"{job} runs as its replica at {operation.result.get('address', 'an unknown address')}")


app = teach.command(
    "failover",
    failover,
    "dtesx failover alpha --live",
    "dtesx failover alpha --live --no-final-mirror --yes --json",
)
