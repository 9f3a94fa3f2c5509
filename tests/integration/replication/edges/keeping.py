"""`dtesx target` that keeps a copy of its replica at every epoch of one moment, until somebody takes it away.

python -m tests.integration.replication.edges.keeping COPIES REPLICA target ...
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dtesx.base.run import run
from dtesx.cli.main import main
from dtesx.model.epoch import Epoch
from dtesx.replication.epochs import Epochs

from .watching import CONSISTENT

_WAITING = 3


def whole(copies: Path) -> list[int]:
    """The numbers of the epochs of which there is a whole copy, in their order."""
    return sorted(int(copy.name) for copy in copies.iterdir() if not copy.suffix)


def _keep(copies: Path, replica: Path) -> None:
    carry_out = Epochs._carry_out

    def carried_out(self: Epochs, epoch: Epoch, *, again: bool) -> None:
        carry_out(self, epoch, again=again)
        # What is applied again was perhaps followed by others already; but for the last one.
        valid = epoch.kind in CONSISTENT and (not again or len(self.waiting) == 1)
        kept = whole(copies)
        if valid and epoch.number not in kept and len(kept) < _WAITING:
            # Who copied for a target that was killed may still be at it.
            part = copies / f"{epoch.number}.{os.getpid()}"
            run(["cp", "-a", str(replica), str(part)])
            part.rename(copies / f"{epoch.number}")

    Epochs._carry_out = carried_out  # type: ignore[method-assign]


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), Path(sys.argv[2]))
    del sys.argv[1:3]
    sys.exit(main())
