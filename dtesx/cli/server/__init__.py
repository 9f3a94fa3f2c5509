"""``dtesx server``: the machines to protect."""

from __future__ import annotations

from dtesx.cli import teach
from dtesx.cli.server.add import add_server
from dtesx.cli.server.inventory import show_inventory
from dtesx.cli.server.list import list_servers
from dtesx.cli.server.remove import remove_server

app = teach.group("Servers to protect: pair them and look at them.")
teach.add(
    app,
    "add",
    add_server,
    "dtesx server add alpha 10.1.0.11 --token-file alpha.token",
    "dtesx server add alpha alpha.example.org --port 6325",
)
teach.add(app, "list", list_servers, "dtesx server list", "dtesx server list --json")
teach.add(
    app,
    "inventory",
    show_inventory,
    "dtesx server inventory alpha",
    "dtesx server inventory --local --json",
)
teach.add(app, "remove", remove_server, "dtesx server remove alpha --yes")
