"""The options by which commands name a replication on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli import one_shot
from dtesx.cli.params import complete_job

State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="The state directory of dtesx replicate."
        " [default: /var/lib/dtesx/client for root, else ~/.local/state/dtesx]",
    ),
]
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="NAME|URL",
        help="Which replication, where there are several. [default: the one that runs]",
    ),
]

Job = Annotated[
    str,
    typer.Option(
        "--job", help="The replication of a job, through its appliance.", autocompletion=complete_job
    ),
]

LONGEST = 7 * 86400.0
"""Seconds that a command may wait for a replication."""


def only_job(job: str, state: Path | None, to: str) -> bool:
    """Whether a job is meant. Raises UsageError when one of this machine is named, too."""
    if job and (to or state):
        raise UsageError("--job is one of an appliance, --to and --state name one here: give one of them")
    return bool(job)


def directory(state: Path | None, to: str) -> Path:
    """The directory of the replication that is meant. Raises NotFound and UsageError."""
    from dtesx.management import replications

    return replications.find(state or one_shot.default_state(), to)
