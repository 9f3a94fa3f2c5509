"""``dtesx lab``: a whole site on this machine."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.lab.down import lab_down
from dtesx.cli.lab.status import lab_status
from dtesx.cli.lab.up import lab_up

app = teach.group("A whole site on this machine, to try everything.")
teach.add(app, "up", lab_up, "dtesx lab up")
teach.add(app, "status", lab_status, "dtesx lab status", "dtesx lab status --json")
teach.add(app, "down", lab_down, "dtesx lab down")
