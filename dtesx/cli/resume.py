"""``dtesx resume``."""

from __future__ import annotations

from pathlib import Path

from dtesx.cli import output, teach
from dtesx.cli.params import Json
from dtesx.cli.pause import Replica, describe
from dtesx.cli.target import State


def resume(name: Replica = "", state: State = Path("/var/lib/dtesx/target"), json: Json = False) -> None:
    """Have a paused dtesx target go on."""
    from dtesx.services import target

    paused = target.resume(state, name)
    if json:
        output.document(paused)
    else:
        output.line(describe(paused))


app = teach.command("resume", resume, "dtesx resume", "dtesx resume www --json")
