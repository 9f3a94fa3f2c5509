"""``dtesx queue apply``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli.params import Json
from dtesx.cli.queue.show import Replica, present
from dtesx.cli.target import State
from dtesx.model.epoch import QueueAction, QueueOrder

UpTo = Annotated[
    int | None, typer.Option("--up-to", metavar="EPOCH", min=0, help="Apply no later one. [default: all]")
]
Consistent = Annotated[
    bool,
    typer.Option("--consistent", help="Apply up to the last one that is not fuzzy; discard those after it."),
]


def apply(
    name: Replica,
    up_to: UpTo = None,
    consistent: Consistent = False,
    state: State = Path("/var/lib/dtesx/target"),
    json: Json = False,
) -> None:
    """Apply epochs that wait; the replica stays paused.

    Each is applied whole, in their order, and on disk when this returns.
    """
    from dtesx.services import target

    if consistent and up_to is not None:
        raise UsageError("--up-to and --consistent say different things", hint="give one of them")
    present(target.queue(state, QueueOrder(QueueAction.APPLY, name, up_to, consistent)), json=json)
