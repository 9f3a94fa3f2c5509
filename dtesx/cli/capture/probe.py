"""``dtesx capture probe``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dtesx.cli import output
from dtesx.cli.params import Json

if TYPE_CHECKING:
    from dtesx.model.capture import CaptureProbe

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH]...", help="Directories. [default: all file systems on disks]"),
]


def probe(paths: Paths = None, json: Json = False) -> None:
    """Show what this kernel tells about changes.

    It is tried out, and nothing is changed. Each directory gets the best means that work there:
    rung A (bytes that change), B (names of what changes) or C (scans).
    """
    from dtesx.capture.probe import probe as try_out
    from dtesx.inventory.mounts import find_mounts, parse_mounts, whole_mounts

    report = try_out(*(paths or [mount.target for mount in whole_mounts(parse_mounts(find_mounts()))]))
    if json:
        output.document(report)
        return
    output.line(f"kernel {report.kernel}")
    for found in report.probes:
        output.line("")
        _show(found)


def _show(found: CaptureProbe) -> None:
    output.line(f"{found.path} ({found.type}): rung {found.rung.value}", style="bold")
    if found.reason:
        output.line(f"  because {found.reason} ({found.hint})")
    for what in found.blind:
        output.line(f"  cannot see {what}")
