"""``dtesx job create``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.cli import jobfile, output, session, watching
from dtesx.cli.job.show import print_job
from dtesx.cli.params import Json, NoWait, Rebind

File = Annotated[Path, typer.Option("--file", "-f", help="The job file (YAML); - reads standard input.")]


def create_job(file: File, rebind: Rebind = False, no_wait: NoWait = False, json: Json = False) -> None:
    """Create a job from a job file and protect its server.

    The appliance makes the replica VM and mirrors all files into its disks. The steps are shown
    as they run; Ctrl-C only ends the watching. If a step failed, set right what the message names
    and run the same command again: it goes on where it stopped. A file system that became empty, was
    not mounted or is another one since halts the mirror (exit code 10): look at the source first;
    --rebind says that it is as you want it.
    """
    spec = jobfile.load(file)
    api = session.appliance()
    job = api.create_job(spec, rebind=rebind)
    if not no_wait and job.operation is not None:
        again = f"dtesx job create -f {file}{' --rebind' if rebind else ''}"
        watching.finish(api, job.operation, spec.name, as_json=json, again=again)
        job = api.job(spec.name)
    if json:
        output.document(job)
    elif no_wait:
        output.line(f"{spec.name} is being protected; look at it with: dtesx job watch {spec.name}")
    else:
        print_job(job)
