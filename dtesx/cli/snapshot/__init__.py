"""``dtesx snapshot``: recovery points held as VMware snapshots."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.snapshot.list import list_snapshots
from dtesx.cli.snapshot.take import take_snapshot

app = teach.group("Recovery points, held as VMware snapshots of a replica.")
teach.add(
    app,
    "take",
    take_snapshot,
    "dtesx snapshot take alpha",
    'dtesx snapshot take alpha --description "before the upgrade"',
)
teach.add(app, "list", list_snapshots, "dtesx snapshot list alpha")
