"""``dtesx lab status``."""

from __future__ import annotations

from dtesx.cli import output
from dtesx.cli.lab import places
from dtesx.cli.lab.show import print_lab
from dtesx.cli.params import Json


def lab_status(json: Json = False) -> None:
    """Show the lab that is up: machines, addresses, how to go on.

    The exit code is 5 when none is up.
    """
    from dtesx.lab import daemon

    status = daemon.status(places.lab())
    if json:
        output.document(status)
    else:
        print_lab(status)
