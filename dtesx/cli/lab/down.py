"""``dtesx lab down``."""

from __future__ import annotations

from dtesx.cli import output
from dtesx.cli.lab import places
from dtesx.cli.params import Json


def lab_down(json: Json = False) -> None:
    """Take the lab down, and clear what a killed one left behind.

    Its machines and their data are gone afterwards; logs stay. Fine when no lab is up.
    """
    from dtesx.lab import daemon

    cleared = daemon.down(places.lab())
    if json:
        output.document({"cleared": list(cleared)})
        return
    for sentence in cleared:
        output.line(f"left by a killed lab: {sentence}")
    output.line("the lab is down")
