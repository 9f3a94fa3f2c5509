"""The options of ``dtesx mirror`` that say how: what they are called, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli import transmission_file
from dtesx.model.mirror import (
    MAX_STREAMS,
    Compare,
    Compression,
    LinkOptions,
    OrphanAction,
    OrphanPolicy,
)
from dtesx.model.quantities import parse_duration, parse_rate

CompareBy = Annotated[
    Compare,
    typer.Option(
        "--compare",
        help="Send files whose size or time differs, or whose data do (all are read), or all of them.",
    ),
]
NewerOnly = Annotated[
    bool, typer.Option("--newer-only", help="Do not replace files that are newer on the target.")
]
InPlace = Annotated[
    bool,
    typer.Option(
        "--in-place", help="Write changed blocks into the target's file, not into a copy that replaces it."
    ),
]
Orphans = Annotated[
    str,
    typer.Option(
        "--orphans",
        metavar="keep|delete|move:DIR",
        help="What becomes of names that only the target has; DIR lies in NAME.orphans beside the replica.",
    ),
]
OlderThan = Annotated[
    str,
    typer.Option(
        "--orphans-older-than",
        metavar="AGE",
        help="Spare orphans that changed since: 12h, 7d. [default: none]",
    ),
]
Compress = Annotated[
    str,
    typer.Option(
        "--compress", metavar="off|auto|LEVEL", help="zstd, from 1 to 19; auto: only what shrinks by it."
    ),
]
Bandwidth = Annotated[
    str,
    typer.Option(
        "--bandwidth",
        metavar="RATE",
        help="Most that is sent, such as 10MB/s or 80Mbit/s. [default: no limit]",
    ),
]
Streams = Annotated[
    int, typer.Option("--streams", metavar="N", min=1, max=MAX_STREAMS, help="Connections side by side.")
]
Tls = Annotated[
    bool,
    typer.Option(
        "--tls/--no-tls",
        help="Send without TLS: loopback and trusted links only, as others on the link can then"
        " read and change what travels. The target must allow it.",
    ),
]
Transmit = Annotated[
    Path | None,
    typer.Option(
        "--transmit",
        metavar="FILE",
        help="When and how fast data may travel, and where they wait. [default: at once]",
    ),
]
CalcSize = Annotated[
    bool,
    typer.Option("--calc-size/--no-calc-size", help="Count files and bytes first, to show how far it is."),
]
Rebind = Annotated[
    bool,
    typer.Option("--rebind", help="SRC may be another directory than at the last mirror, or empty."),
]


def orphan_policy(text: str, age: str) -> OrphanPolicy:
    """What ``--orphans`` and ``--orphans-older-than`` (empty: none) stand for; raises UsageError."""
    action, _, directory = text.partition(":")
    try:
        policy = OrphanPolicy(OrphanAction(action), parse_duration(age) if age else 0.0, directory)
    except ValueError as error:
        raise UsageError(
            f"--orphans {text}: {error}", hint="write keep, delete or move:DIR, and an age such as 7d"
        ) from error
    if directory and not {"", ".", ".."}.isdisjoint(directory.split("/")):
        raise UsageError(
            f"--orphans {text}: {directory!r} is no plain relative path",
            hint="DIR lies in NAME.orphans beside the replica: write move:old or move:old/2026",
        )
    return policy


def link_options(
    compress: str, bandwidth: str, streams: int, transmit: Path | None, *, tls: bool
) -> LinkOptions:
    """What ``--compress``, ``--bandwidth`` (empty: no limit) and so on stand for; raises UsageError."""
    plan, ahead = transmission_file.load(transmit) if transmit is not None else (None, None)
    try:
        rate = parse_rate(bandwidth) if bandwidth else 0
        return LinkOptions(Compression.parse(compress), rate, streams, tls, ahead=ahead, plan=plan)
    except ValueError as error:
        raise UsageError(str(error), hint="write --compress auto, --bandwidth 80Mbit/s") from error
