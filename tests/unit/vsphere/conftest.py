"""A stand-in for the network: pyVmomi's real objects, answers scripted by the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from dtesx.model.vmware import VmwareServer
from dtesx.vsphere.session import Session

Answer = Callable[..., Any]


class Server:
    """Answers calls by method name, as in ``answers["CreateFilter"]``, and remembers them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, Answer] = {
            "RetrieveServiceContent": lambda: content(self),
            "Login": lambda user, password, locale: None,
            "Logout": lambda: None,
        }

    def InvokeMethod(self, managed: Any, info: Any, args: Any) -> Any:  # noqa: N802
        self.calls.append(info.wsdlName)
        return self.answers[info.wsdlName](*args)

    def InvokeAccessor(self, managed: Any, info: Any) -> Any:  # noqa: N802
        raise AssertionError(f"{info.name} was read by attribute access")

    def SetSessionId(self, session: str) -> None:  # noqa: N802
        self.calls.append("forget the session")

    def DropConnections(self) -> None:  # noqa: N802
        self.calls.append("drop connections")

    def answer_properties(self, *pages: Any) -> None:
        """RetrievePropertiesEx gives these pages, one a call, the last one for ever."""
        remaining = list(pages)
        self.answers["RetrievePropertiesEx"] = lambda specs, options: (
            remaining.pop(0) if len(remaining) > 1 else remaining[0]
        )


def content(server: Server) -> Any:
    return vim.ServiceInstanceContent(
        propertyCollector=vmodl.query.PropertyCollector("pc", server),
        viewManager=vim.view.ViewManager("views", server),
        sessionManager=vim.SessionManager("sessions", server),
        searchIndex=vim.SearchIndex("index", server),
        rootFolder=vim.Folder("root", server),
        about=vim.AboutInfo(name="Test", version="8", build="1", apiType="VirtualCenter"),
    )


def page(*objects: tuple[Any, dict[str, Any]], missing: Any = None, token: str | None = None) -> Any:
    """One answer of RetrievePropertiesEx."""
    query = vmodl.query.PropertyCollector
    return query.RetrieveResult(
        token=token,
        objects=[
            query.ObjectContent(
                obj=managed,
                propSet=[vmodl.DynamicProperty(name=key, val=value) for key, value in values.items()],
                missingSet=[query.MissingProperty(path="name", fault=missing)] if missing else [],
            )
            for managed, values in objects
        ],
    )


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def session(server: Server) -> Session:
    return Session(VmwareServer("vc", "vc.example.org", "admin"), "secret", server)


@pytest.fixture
def make_page() -> Callable[..., Any]:
    return page
