"""``dtesx task``: commands that run on a target between two epochs."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.task.insert import insert

app = teach.group("Commands that run on a target between two epochs.")
teach.add(
    app,
    "insert",
    insert,
    "dtesx task insert snapshot",
    "dtesx task insert snapshot --job alpha",
    "dtesx task insert backup --to www --consistent --wait 7200 --json",
)
