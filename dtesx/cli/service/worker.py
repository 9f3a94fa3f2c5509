"""``dtesx service worker``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.base import log

Directory = Annotated[Path, typer.Option("--directory", help="The job's directory, with worker.json in it.")]


def run_worker(directory: Directory) -> None:
    """Run the target worker of one job.

    It receives files and writes them to the replica's disks. The management service starts one
    for each job; nobody else needs to.
    """
    from dtesx.services import worker

    log.configure()
    worker.run(directory)
