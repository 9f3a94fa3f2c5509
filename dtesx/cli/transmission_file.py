"""Reads the file of ``--transmit``: when and how fast a mirror may transmit (docs/transmission.md)."""

from __future__ import annotations

from pathlib import Path

from dtesx.cli import yaml_file
from dtesx.model.link import QueueSpec, TransmissionSpec
from dtesx.model.queue import QueueLimits
from dtesx.model.transmission import Transmission

_HINT = "docs/transmission.md explains the fields"


def load(path: Path) -> tuple[Transmission, QueueLimits]:
    """Read a transmission file (``-``: standard input): the plan, and the queue for what has to wait.

    UsageError names file, line and field.
    """
    spec = yaml_file.load(path, TransmissionSpec, "a transmission file", hint=_HINT)
    return spec.plan(), (spec.queue or QueueSpec()).limits()
