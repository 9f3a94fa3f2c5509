"""``dtesx capture``: how changes on this machine are found."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.capture.probe import probe

app = teach.group("Capture: how changes on this machine are found.")
teach.add(app, "probe", probe, "dtesx capture probe", "dtesx capture probe /srv /var/lib/postgresql --json")
