"""``dtesx lab up``."""

from __future__ import annotations

from dtesx.cli import output, steps
from dtesx.cli.lab import places
from dtesx.cli.lab.show import print_lab
from dtesx.cli.params import Json


def lab_up(json: Json = False) -> None:
    """Bring a lab up on this machine (as root).

    A vCenter (VMware's own simulator made stricter), an appliance, and a Debian server to protect;
    replicas start in QEMU. It runs in the background until dtesx lab down. The first time builds
    what it needs, which takes some minutes. Says which commands to go on with.
    """
    from dtesx.lab import daemon

    show = steps.Activity("Bringing the lab up", quiet=json)
    with show:
        status = daemon.up(places.lab(), places.cache(), show.say)
    if json:
        output.document(status)
    else:
        print_lab(status)
