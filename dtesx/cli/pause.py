"""``dtesx pause``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.cli import output, teach
from dtesx.cli.params import Json
from dtesx.cli.target import State
from dtesx.model.target import Paused

Replica = Annotated[str, typer.Argument(metavar="[NAME]", help="One replica. [default: all of them]")]


def pause(name: Replica = "", state: State = Path("/var/lib/dtesx/target"), json: Json = False) -> None:
    """Pause a dtesx target on this machine.

    Its files stay as they are, for a backup of them, say: what is in progress is completed and waited
    for, then nothing more is applied. Sources wait, and queue what they have up to their limits. It
    lasts until dtesx resume, also over a restart of the target.
    """
    from dtesx.services import target

    paused = target.pause(state, name)
    if json:
        output.document(paused)
    elif paused.pending:
        output.line("being paused: an operation is still in progress")
    else:
        output.line(describe(paused))


def describe(paused: Paused) -> str:
    """What is paused, for people."""
    if paused.all:
        return "all replicas are paused"
    return f"paused: {', '.join(paused.names)}" if paused.names else "no replica is paused"


app = teach.command("pause", pause, "dtesx pause", "dtesx pause www --state /var/lib/dtesx/target")
