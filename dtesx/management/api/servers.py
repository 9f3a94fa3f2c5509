"""Calls about source servers."""

from __future__ import annotations

from dtesx.management.servers import Servers
from dtesx.management.web import Call, Rule
from dtesx.model.api import NewServer, ServerInfo, ServerInventory


def rules(servers: Servers) -> tuple[Rule, ...]:
    """``/v1/servers``."""

    def add(call: Call) -> ServerInfo:
        return servers.add(call.decoded(NewServer))

    def show_all(_call: Call) -> tuple[ServerInfo, ...]:
        return servers.all()

    def inventory(call: Call) -> ServerInventory:
        return servers.inventory(call.path["name"])

    def remove(call: Call) -> None:
        servers.remove(call.path["name"])

    return (
        Rule("POST", "/v1/servers", add),
        Rule("GET", "/v1/servers", show_all),
        Rule("GET", "/v1/servers/{name}/inventory", inventory),
        Rule("DELETE", "/v1/servers/{name}", remove),
    )
