from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

import pytest
from pyVmomi import vim

from dtesx.vsphere.session import Session


def failing(*errors: Exception) -> Callable[[], str]:
    """An action that raises these, one a call, then answers."""
    remaining = list(errors)

    def action() -> str:
        if remaining:
            raise remaining.pop(0)
        return "done"

    return action


@pytest.mark.parametrize("way", ["read", "change"])
def test_an_expired_session_is_renewed_once(session: Session, server: Any, way: str) -> None:
    assert getattr(session, way)(failing(vim.fault.NotAuthenticated())) == "done"
    assert server.calls.count("Login") == 1
    with pytest.raises(vim.fault.NotAuthenticated):
        getattr(session, way)(failing(vim.fault.NotAuthenticated(), vim.fault.NotAuthenticated()))


def test_the_dead_session_is_forgotten_before_the_new_login(session: Session, server: Any) -> None:
    session.read(failing(vim.fault.NotAuthenticated()))
    assert server.calls[-2:] == ["forget the session", "Login"]


def test_a_refused_renewal_is_not_tried_again(session: Session, server: Any) -> None:
    def refuse(*_args: Any) -> None:
        raise vim.fault.InvalidLogin

    server.answers["Login"] = refuse
    with pytest.raises(vim.fault.InvalidLogin):
        session.read(failing(vim.fault.NotAuthenticated()))
    assert server.calls.count("Login") == 1


def test_reads_survive_a_connection_closed_while_idle(session: Session) -> None:
    assert session.read(failing(http.client.RemoteDisconnected("closed"))) == "done"


def test_changes_are_never_repeated_blindly(session: Session) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        session.change(failing(http.client.RemoteDisconnected("closed")))


def test_closing_a_dead_session_is_quiet_and_drops_connections(session: Session, server: Any) -> None:
    def away() -> None:
        raise ConnectionRefusedError

    server.answers["Logout"] = away
    session.close()
    assert server.calls[-1] == "drop connections"
