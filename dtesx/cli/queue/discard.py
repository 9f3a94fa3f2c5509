"""``dtesx queue discard``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.cli import ask
from dtesx.cli.params import Json, Yes
from dtesx.cli.queue.show import Replica, present
from dtesx.cli.target import State
from dtesx.model.epoch import QueueAction, QueueOrder

After = Annotated[
    int | None, typer.Option("--after", metavar="EPOCH", min=0, help="Keep those up to it. [default: none]")
]


def discard(
    name: Replica,
    after: After = None,
    state: State = Path("/var/lib/dtesx/target"),
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Discard epochs that wait; the replica stays as it is.

    A source that still runs compares, and sends again what is missing.
    """
    from dtesx.services import target

    ask.confirm(f"Discard what waits for {name}?", yes=yes)
    present(target.queue(state, QueueOrder(QueueAction.DISCARD, name, after)), json=json)
