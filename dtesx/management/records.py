"""What the store keeps of servers: the public part, and the secrets, which never are in a repr."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtesx.model.api import ServerInfo, VmwareInfo
from dtesx.model.vmware import VmwareServer


@dataclass(frozen=True)
class PairedServer:
    """A paired source: its pinned certificate (PEM) and the bearer secret of its API."""

    info: ServerInfo
    certificate: str
    bearer: str = field(repr=False)


@dataclass(frozen=True)
class KnownVmware:
    """A VMware server with its password.

    ``appliance_vm`` is the appliance's VM there by the name that it had, ``appliance_uuid`` its instance
    UUID, by which it is found again.
    """

    server: VmwareServer
    appliance_vm: str
    appliance_uuid: str
    password: str = field(repr=False)

    @property
    def info(self) -> VmwareInfo:
        """The part that may be shown, without what only the server itself can tell."""
        server = self.server
        return VmwareInfo(
            name=server.name,
            address=server.address,
            port=server.port,
            user=server.user,
            thumbprint=server.thumbprint,
            appliance_vm=self.appliance_vm,
        )
