"""Bandwidth limits on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.model.quantities import parse_rate
from dtesx.model.transmission import check_bandwidth

Limit = Annotated[str, typer.Argument(metavar="RATE|off|default", help="Such as 10MB/s or 80Mbit/s.")]

_NONE = {"off": 0, "default": None}


def bandwidth(limit: str) -> int | None:
    """The limit that was given (NewBandwidth). Raises UsageError."""
    if limit in _NONE:
        return _NONE[limit]
    try:
        rate = parse_rate(limit)
        check_bandwidth(rate)
    except ValueError as error:
        raise UsageError(f"RATE: {error}", hint="write 10MB/s, 80Mbit/s, off or default") from error
    return rate
