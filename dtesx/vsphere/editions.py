"""Licences of ESXi hosts: the free edition's API reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from dtesx.vsphere.collector import properties
from dtesx.vsphere.session import Session

_FREE = ("esxBasic", "esx.hypervisor.")
"""How the edition keys of the free edition begin (``esx.hypervisor.cpuPackage``: vSphere Hypervisor)."""

_HOST = "HostAgent"


def changes_nothing(session: Session) -> bool:
    """Whether this is an ESXi host that has the free edition only. A vCenter manages no such hosts."""
    if session.content.about.apiType != _HOST:
        return False
    found = properties(session, session.content.licenseManager, ("licenses",)).get("licenses", ())
    return is_free(str(licence.editionKey) for licence in found)


def is_free(editions: Iterable[str]) -> bool:
    """Whether a host has the free edition and no other (pure). No licence at all is no free edition."""
    known = list(editions)
    return bool(known) and all(edition.startswith(_FREE) for edition in known)
