"""``dtesx queue``: the epochs that wait at a paused replica."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.queue.apply import apply
from dtesx.cli.queue.discard import discard
from dtesx.cli.queue.show import show

app = teach.group("The epochs that wait at a paused replica.")
teach.add(app, "show", show, "dtesx queue show www", "dtesx queue show www --json")
teach.add(app, "apply", apply, "dtesx queue apply www --up-to 812", "dtesx queue apply www --consistent")
teach.add(app, "discard", discard, "dtesx queue discard www", "dtesx queue discard www --after 812 --yes")
