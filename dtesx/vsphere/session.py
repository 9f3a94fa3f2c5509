"""A login to a vCenter or ESXi host that survives its own expiry."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pyVim import connect as pyvim
from pyVmomi import vim, vmodl

from dtesx.base.errors import ConnectionFailed
from dtesx.base.log import get_logger
from dtesx.model.vmware import VmwareServer
from dtesx.vsphere import trust
from dtesx.vsphere.faults import TRANSPORT, Situation, explained

log = get_logger(__name__)

T = TypeVar("T")

CALL_TIMEOUT = 120.0
"""Seconds an answer may take; every server-side wait must stay well below it."""

_IDLE_CONNECTION = 30
"""Seconds after which an unused connection is dropped, before the server's proxy drops it unseen."""

_CLOSED_WHILE_IDLE = (
    http.client.RemoteDisconnected,
    ConnectionResetError,
    BrokenPipeError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)


class Session:
    """One logged-in connection. Use ``read`` and ``change`` for every call, so that they are renewed.

    Both raise what pyVmomi raises; ``faults.explained`` around them makes errors for people.
    """

    def __init__(self, server: VmwareServer, password: str, stub: Any) -> None:
        self.server = server
        self._password = password
        self._stub = stub
        self.content: Any = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()

    def login(self) -> None:
        """Log in once. Never in a loop: repeated wrong passwords lock an account."""
        self._stub.SetSessionId("")
        self.content.sessionManager.Login(self.server.user, self._password)

    def read(self, action: Callable[[], T]) -> T:
        """Do what changes nothing: repeated once after an expired session or a connection closed idle."""
        try:
            return self._renewing(action)
        except _CLOSED_WHILE_IDLE:
            return self._renewing(action)

    def change(self, action: Callable[[], T]) -> T:
        """Do what changes something: repeated once only when the server refused it unauthenticated.

        Read something right before, which replaces a connection that was closed while idle.
        """
        return self._renewing(action)

    def managed(self, kind: type[Any], ref: str) -> Any:
        """The managed object with that id; says nothing about whether it exists."""
        return kind(ref, self._stub)

    def close(self) -> None:
        """Log out; a session that is gone already is as good."""
        try:
            self.content.sessionManager.Logout()
        except (vmodl.MethodFault, *TRANSPORT) as error:
            log.debug("logout failed", server=self.server.name, error=type(error).__name__)
        finally:
            self._stub.DropConnections()

    def _renewing(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except vim.fault.NotAuthenticated:
            log.info("session expired, logging in again", server=self.server.name)
            self.login()
            return action()


def server_label(server: VmwareServer) -> str:
    """How messages name a server."""
    return f"vCenter {server.name} ({server.address}:{server.port})"


@contextmanager
def open_session(server: VmwareServer, password: str) -> Iterator[Session]:
    """Check the certificate, log in, and log out at the end.

    Raises UntrustedCertificate (with what was presented) when nothing or something else is pinned,
    Refused for wrong credentials, ConnectionFailed when the server is away.
    """
    label = server_label(server)
    pin = trust.normalized(server.thumbprint)
    presented = trust.presented_thumbprint(server.address, server.port)
    if presented != pin:
        raise trust.untrusted(label, presented, pin)
    with explained(Situation(label, server.user, "log in")):
        session = Session(server, password, _stub(server, pin, label))
        session.login()
    try:
        yield session
    finally:
        session.close()


def _stub(server: VmwareServer, pin: str, label: str) -> Any:
    """A pyVmomi connection that speaks the newest API version that both sides know."""
    host = f"[{server.address}]" if ":" in server.address else server.address
    try:
        return pyvim.SmartStubAdapter(
            host=host,
            port=server.port,
            sslContext=trust.pinned_context(pin, label, CALL_TIMEOUT),
            httpConnectionTimeout=CALL_TIMEOUT,
            connectionPoolTimeout=_IDLE_CONNECTION,
        )
    except Exception as error:
        # SmartStubAdapter has no exception class of its own for "not a VIM server".
        if type(error) is not Exception:
            raise
        raise ConnectionFailed(
            f"{label} does not answer as a vSphere server",
            hint="check address and port; a vCenter that has just been started needs some minutes",
        ) from error
