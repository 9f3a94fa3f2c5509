"""``dtesx help``."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.exit_codes import exit_codes

app = teach.group("More help, by topic.")
teach.add(app, "exit-codes", exit_codes, "dtesx help exit-codes")
