"""The options of ``dtesx mirror`` and the like: what they are called, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli import transmission_file
from dtesx.cli.one_shot import RemapLinks
from dtesx.model.mirror import (
    MAX_STREAMS,
    Compare,
    Compression,
    LinkOptions,
    MirrorOptions,
    OrphanAction,
    OrphanPolicy,
)
from dtesx.model.quantities import parse_duration, parse_rate
from dtesx.model.rules import Rule

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


@dataclass(frozen=True)
class LinkChoice:
    """The options that say how data travel."""

    compress: Compress = "off"
    bandwidth: Bandwidth = ""
    streams: Streams = 1
    tls: Tls = True

    def options(self) -> LinkOptions:
        """What they stand for; raises UsageError."""
        return self._options(None)

    def _options(self, transmit: Path | None) -> LinkOptions:
        plan, ahead = transmission_file.load(transmit) if transmit is not None else (None, None)
        try:
            rate = parse_rate(self.bandwidth) if self.bandwidth else 0
            compress = Compression.parse(self.compress)
            return LinkOptions(compress, rate, self.streams, self.tls, ahead=ahead, plan=plan)
        except ValueError as error:
            raise UsageError(str(error), hint="write --compress auto, --bandwidth 80Mbit/s") from error


@dataclass(frozen=True)
class TimedLinkChoice(LinkChoice):
    """The options that say how data travel, and when."""

    transmit: Transmit = None

    def options(self) -> LinkOptions:
        """What they stand for; raises UsageError."""
        return self._options(self.transmit)


@dataclass(frozen=True)
class MirrorChoice:
    """The options that say what a mirror does about what differs."""

    compare: CompareBy = Compare.ATTRIBUTES
    newer_only: NewerOnly = False
    in_place: InPlace = False
    orphans: Orphans = "delete"
    orphans_older_than: OlderThan = ""
    remap_links: RemapLinks = False

    def options(self, rules: tuple[Rule, ...]) -> MirrorOptions:
        """What they stand for; raises UsageError."""
        return MirrorOptions(
            self.compare,
            rules=rules,
            newer_only=self.newer_only,
            orphans=orphan_policy(self.orphans, self.orphans_older_than),
            remap_links=self.remap_links,
            in_place=self.in_place,
        )
