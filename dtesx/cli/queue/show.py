"""``dtesx queue show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.cli import output
from dtesx.cli.formats import moment, size
from dtesx.cli.params import Json
from dtesx.cli.target import State
from dtesx.model.epoch import Epoch, QueueAction, QueueOrder, TargetQueue

Replica = Annotated[str, typer.Argument(metavar="NAME", help="A replica of the target.")]


def show(name: Replica, state: State = Path("/var/lib/dtesx/target"), json: Json = False) -> None:
    """Show which epochs wait to be applied, the oldest first."""
    from dtesx.services import target

    present(target.queue(state, QueueOrder(QueueAction.SHOW, name)), json=json)


def present(queue: TargetQueue, *, json: bool) -> None:
    """Say what waits."""
    if json:
        output.document(queue)
        return
    rows = [(*_row(kept.epoch), size(kept.size)) for kept in queue.waiting]
    output.table(("epoch", "kind", "taken", "size"), rows, empty="nothing waits to be applied")
    if queue.applied is not None:
        number, kind, taken = _row(queue.applied)
        output.line(f"applied: epoch {number}, {kind}, of {taken}")


def _row(epoch: Epoch) -> tuple[str, str, str]:
    return str(epoch.number), str(epoch.kind), moment(epoch.taken)
