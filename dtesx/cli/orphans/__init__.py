"""``dtesx orphans``: what only the target has."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.orphans.preview import preview

app = teach.group("Orphans: files that the target has and the source does not.")
teach.add(
    app,
    "preview",
    preview,
    "dtesx orphans preview /srv/www dtesx://10.1.0.2:1500/www",
    "dtesx orphans preview /srv/www dtesx://10.1.0.2:1500/www --json",
)
