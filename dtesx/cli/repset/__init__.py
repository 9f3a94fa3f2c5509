"""``dtesx repset``: replication sets, the rules for what of a tree is mirrored."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.repset.add import add
from dtesx.cli.repset.check import check
from dtesx.cli.repset.remove import remove
from dtesx.cli.repset.show import show
from dtesx.cli.repset.size import size

app = teach.group("Replication sets: what of a tree is mirrored.")
teach.add(app, "show", show, "dtesx repset show --rules web.yaml", "dtesx repset show --rules web.yaml /srv")
teach.add(app, "size", size, "dtesx repset size --rules web.yaml /srv")
teach.add(
    app,
    "check",
    check,
    "dtesx repset check --rules web.yaml /srv",
    "dtesx repset check --rules web.yaml /srv --json",
)
teach.add(
    app,
    "add",
    add,
    "dtesx repset add --rules web.yaml --include www --exclude 'www/*.tmp'",
    "dtesx repset add --rules web.yaml --include www/static,nonrec --generation 3",
)
teach.add(app, "remove", remove, "dtesx repset remove --rules web.yaml 'www/*.tmp'")
