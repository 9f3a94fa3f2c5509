"""What a running site tells of itself: plain values, so that they can cross processes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MachineStatus:
    """One machine; ``log`` is its console."""

    name: str
    alive: bool
    address: str
    log: str


@dataclass(frozen=True)
class VcenterAccess:
    """The simulated vCenter: address and port as the appliance sees it, ``forward`` as the host does."""

    address: str
    port: int
    user: str
    password: str
    forward: str


@dataclass(frozen=True)
class SiteStatus:
    """Everything that one needs to work with a site from the host.

    ``appliance_url`` and ``ssh_forward`` are loopback addresses of the host; paths are the host's;
    ``ssh`` is the argv that logs in to whoever has the source's address: it, or its replica.
    """

    directory: str
    machines: tuple[MachineStatus, ...]
    vcenter: VcenterAccess
    appliance_vm: str
    appliance_url: str
    appliance_certificate: str
    admin_token_file: str
    source_address: str
    source_token_file: str
    ssh: tuple[str, ...]
    ssh_key: str
    ssh_forward: str
