"""A connection as a site's source makes it."""

from __future__ import annotations

import socket
import ssl

from dtesx.wire.tls import client_context
from tests.integration.replication.conftest import Site


def connected(site: Site) -> ssl.SSLSocket:
    """A TLS connection of the site's source to its receiver, nothing said yet."""
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    return client_context(site.them.certificate, site.us).wrap_socket(plain)
