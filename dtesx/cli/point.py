"""``dtesx point``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.base.errors import ExitCode, UsageError
from dtesx.cli import output, teach
from dtesx.cli.formats import moment
from dtesx.cli.params import Json
from dtesx.cli.replication_options import LONGEST, State, To, directory
from dtesx.model.epoch import EpochKind
from dtesx.model.replication import Point, PointRequest

Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0.0, help="Wait for it at most so long.")
]
Consistent = Annotated[
    bool, typer.Option("--consistent", help="Ask for an epoch that is not fuzzy: all of it of one moment.")
]


def point(
    to: To = "",
    wait: Wait = 60.0,
    consistent: Consistent = False,
    state: State = None,
    json: Json = False,
) -> int:
    """Make a recovery point of a replication on this machine.

    Returns when the target has applied an epoch that holds all that was written before this command
    began, and says which.

    Exit code 1 says that some paths are not in it, as they could not be read or applied, or that it
    is fuzzy although --consistent was given.
    """
    from dtesx.management import replications

    if wait > LONGEST:
        raise UsageError(f"--wait: at most {LONGEST:.0f} seconds")
    made = replications.point(directory(state, to), PointRequest(consistent, wait))
    if json:
        output.document(made)
    else:
        output.line(describe(made))
    short = made.failed or (consistent and made.kind is EpochKind.FUZZY)
    return ExitCode.PROBLEMS if short else ExitCode.OK


def describe(made: Point) -> str:
    """A recovery point in one line."""
    text = f"epoch {made.number}, {made.kind}, of {moment(made.taken)}"
    return f"{text}; {made.failed} paths could not be replicated" if made.failed else text


app = teach.command("point", point, "dtesx point", "dtesx point --to www --wait 300 --json")
