"""The connection to the appliance that commands use."""

from __future__ import annotations

from dtesx.cli import contexts
from dtesx.cli.api import Api


def connect(context: contexts.Context) -> Api:
    """A client for one appliance; nothing is sent before its first call."""
    from dtesx.management.client import Appliance

    return Appliance(context.url, context.certificate, context.token)


def appliance() -> Api:
    """The client for the appliance that the user is logged in to."""
    return connect(contexts.current())
