"""``dtesx orphans``: what only the target has."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.orphans.preview import preview
from dtesx.cli.orphans.remove import remove

app = teach.group("Orphans: files that the target has and the source does not.")
teach.add(
    app,
    "preview",
    preview,
    "dtesx orphans preview /srv/www dtesx://10.1.0.2:1500/www",
    "dtesx orphans preview /srv/www dtesx://10.1.0.2:1500/www --json",
)
teach.add(
    app,
    "remove",
    remove,
    "dtesx orphans remove /srv/www dtesx://10.1.0.2:1500/www",
    "dtesx orphans remove /srv/www dtesx://10.1.0.2/www --move-to old --older-than 7d",
)
