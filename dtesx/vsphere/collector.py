"""Reading and watching properties through the property collector.

Managed objects are never read by attribute access: that is one round trip a property, and reading an
unset one makes some servers drop the connection. What is unset is simply absent from a row's values.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote

from pyVmomi import vim, vmodl

from dtesx.base.log import get_logger
from dtesx.vsphere.session import Session

log = get_logger(__name__)

T = TypeVar("T")

_SLICE = 10
"""Seconds of one server-side wait. Also the longest time that a lost update can stay unnoticed."""


@dataclass(frozen=True)
class Row:
    """A managed object with the properties that are set on it."""

    managed: Any
    values: Mapping[str, Any]

    @property
    def ref(self) -> str:
        """The managed object id, such as ``vm-42``."""
        return str(self.managed._moId)

    @property
    def name(self) -> str:
        """The display name; vCenter keeps slash, backslash and percent of names in URL form."""
        return unquote(str(self.values.get("name", self.ref)))


class TimedOut(Exception):
    """A watch did not see what it waited for; ``last`` are the values seen last."""

    def __init__(self, last: Mapping[str, Any]) -> None:
        super().__init__("timed out")
        self.last = last


def properties(session: Session, managed: Any, paths: Sequence[str]) -> Mapping[str, Any]:
    """The set properties of one object. Raises the server's fault when it is gone or not readable."""
    return session.read(lambda: _properties(session, managed, paths))


def rows(session: Session, objects: Sequence[Any], kind: Any, paths: Sequence[str]) -> tuple[Row, ...]:
    """Properties of several objects of one kind; objects that we may not read come without values."""
    specs = [vmodl.query.PropertyCollector.ObjectSpec(obj=item) for item in objects]
    return session.read(lambda: _retrieve(session, kind, paths, specs)) if specs else ()


def rows_under(session: Session, root: Any, kind: Any, paths: Sequence[str]) -> tuple[Row, ...]:
    """Every object of a kind anywhere below ``root``, by a container view."""
    return session.read(lambda: _retrieve_view(session, root, kind, paths))


def watch(
    session: Session,
    managed: Any,
    paths: Sequence[str],
    *,
    timeout: float,
    found: Callable[[Mapping[str, Any]], T | None],
    on_wait: Callable[[float], None] = lambda _elapsed: None,
    every: float = _SLICE,
) -> T:
    """Wait until ``found`` makes something of an object's properties, and return that.

    ``on_wait`` is told the seconds waited so far, at least each ``every`` seconds; it may raise to
    end the wait. Raises TimedOut after ``timeout`` seconds. Whatever happens, nothing of the watch
    stays behind on the server.
    """
    started = time.monotonic()
    seen = 0

    def attempt() -> T:
        nonlocal seen
        with _private_collector(session, managed, paths) as collector:
            for values in _versions(session, collector, managed, paths, started + timeout, every):
                seen += 1
                result = found(values)
                if result is not None:
                    return result
                elapsed = time.monotonic() - started
                if elapsed >= timeout:
                    raise TimedOut(values)
                on_wait(elapsed)
            raise AssertionError("the versions of an object never end")

    while True:
        before = seen
        try:
            return session.read(attempt)
        except vim.fault.NotAuthenticated:
            # A long wait may outlive several sessions, as long as each of them was good for something.
            if seen == before:
                raise


def _versions(
    session: Session, collector: Any, managed: Any, paths: Sequence[str], deadline: float, every: float
) -> Iterator[Mapping[str, Any]]:
    """An object's properties: now, and after each change or each ``every`` seconds. Never ends."""
    version = ""
    values: dict[str, Any] = {}
    while True:
        seconds = max(1, math.ceil(min(every, deadline - time.monotonic())))
        options = vmodl.query.PropertyCollector.WaitOptions(maxWaitSeconds=seconds)
        update = collector.WaitForUpdatesEx(version, options)
        if update is None:
            # Some servers lose a change between the first look and the first wait: look again.
            values = dict(_properties(session, managed, paths))
        else:
            version = update.version
            _merge(values, update)
        yield values


def _merge(values: dict[str, Any], update: Any) -> None:
    for filtered in update.filterSet:
        for item in filtered.objectSet:
            if str(item.kind) == "leave":
                raise vmodl.fault.ManagedObjectNotFound(obj=item.obj)
            for change in item.changeSet:
                if str(change.op) in ("assign", "add"):
                    values[change.name] = change.val
                else:
                    values.pop(change.name, None)


@contextmanager
def _private_collector(session: Session, managed: Any, paths: Sequence[str]) -> Iterator[Any]:
    """A collector of our own with one filter, so that no other watch's updates come along."""
    collector = session.content.propertyCollector.CreatePropertyCollector()
    try:
        spec = _filter_spec(type(managed), paths, [vmodl.query.PropertyCollector.ObjectSpec(obj=managed)])
        collector.CreateFilter(spec, partialUpdates=False)
        yield collector
    finally:
        _dispose(collector.DestroyPropertyCollector)


def _dispose(destroy: Callable[[], None]) -> None:
    """Remove a helper object of ours; it dies with its session, so a lost session removed it too."""
    try:
        destroy()
    except (vmodl.MethodFault, OSError) as error:
        log.debug("helper object was gone already", error=type(error).__name__)


def _properties(session: Session, managed: Any, paths: Sequence[str]) -> Mapping[str, Any]:
    specs = [vmodl.query.PropertyCollector.ObjectSpec(obj=managed)]
    found = _retrieve(session, type(managed), paths, specs, strict=True)
    if not found:
        raise vmodl.fault.ManagedObjectNotFound(obj=managed)
    return found[0].values


def _retrieve_view(session: Session, root: Any, kind: Any, paths: Sequence[str]) -> tuple[Row, ...]:
    view = session.content.viewManager.CreateContainerView(root, [kind], recursive=True)
    try:
        traversal = vmodl.query.PropertyCollector.TraversalSpec(
            name="members", type=vim.view.ContainerView, path="view", skip=False
        )
        start = vmodl.query.PropertyCollector.ObjectSpec(obj=view, skip=True, selectSet=[traversal])
        return _retrieve(session, kind, paths, [start])
    finally:
        _dispose(view.DestroyView)


def _retrieve(
    session: Session, kind: Any, paths: Sequence[str], objects: Sequence[Any], *, strict: bool = False
) -> tuple[Row, ...]:
    collector = session.content.propertyCollector
    options = vmodl.query.PropertyCollector.RetrieveOptions()
    page = collector.RetrievePropertiesEx([_filter_spec(kind, paths, objects)], options)
    found: list[Row] = []
    while page is not None:
        found += [_row(item, strict=strict) for item in page.objects]
        page = collector.ContinueRetrievePropertiesEx(page.token) if page.token else None
    return tuple(found)


def _row(item: Any, *, strict: bool) -> Row:
    """One object's answer. An expired session shows here as properties missing, not as a fault."""
    for missing in item.missingSet or ():
        expired = isinstance(missing.fault, vim.fault.NotAuthenticated)
        if expired or (strict and isinstance(missing.fault, vmodl.fault.SecurityError)):
            raise missing.fault
    return Row(item.obj, {entry.name: entry.val for entry in item.propSet or ()})


def _filter_spec(kind: Any, paths: Sequence[str], objects: Sequence[Any]) -> Any:
    wanted = vmodl.query.PropertyCollector.PropertySpec(type=kind, pathSet=list(paths), all=False)
    return vmodl.query.PropertyCollector.FilterSpec(propSet=[wanted], objectSet=list(objects))
