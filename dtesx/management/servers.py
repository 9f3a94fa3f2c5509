"""The sources that this appliance is paired with."""

from __future__ import annotations

from contextlib import closing

from dtesx.base.errors import Conflict, NotFound
from dtesx.base.log import get_logger
from dtesx.management.names import checked_name, checked_port
from dtesx.management.source_client import SourceClient, pair
from dtesx.management.store import Store
from dtesx.model.api import NewServer, ServerInfo, ServerInventory

log = get_logger(__name__)


class Servers:
    """Adds, shows and removes sources; ``certificate`` (PEM) is the appliance's own."""

    def __init__(self, store: Store, certificate: str) -> None:
        self._store, self._certificate = store, certificate

    def add(self, server: NewServer) -> ServerInfo:
        """Pair with a source by its one-time token and keep it under a name.

        Raises Conflict when the name is taken, Refused when the token is wrong or used,
        ConnectionFailed when nothing answers.
        """
        checked_name(server.name)
        checked_port(server.port)
        self._check_free(server.name)  # before the token is spent
        paired = pair(server, self._certificate)
        self._store.add_server(paired)
        log.info("server added", name=server.name, address=server.address)
        return paired.info

    def all(self) -> tuple[ServerInfo, ...]:
        """The paired sources by name."""
        return tuple(server.info for server in self._store.servers())

    def inventory(self, name: str) -> ServerInventory:
        """A source's inventory, taken now."""
        server = self._store.server(name)
        with closing(SourceClient(server)) as client:
            return ServerInventory(server.info, client.inventory())

    def remove(self, name: str) -> None:
        """Forget a source; Conflict while a job uses it."""
        self._store.remove_server(name)
        log.info("server removed", name=name)

    def _check_free(self, name: str) -> None:
        try:
            self._store.server(name)
        except NotFound:
            return
        raise Conflict(
            f"there is a server {name} already",
            hint=f"choose another name, or remove it first: dtesx server remove {name}",
        )
