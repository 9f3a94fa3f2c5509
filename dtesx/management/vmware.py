"""The vCenter and ESXi hosts that this appliance knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from dtesx.base.errors import Conflict, NotFound, UntrustedCertificate
from dtesx.base.log import get_logger
from dtesx.management.names import checked_name, checked_port
from dtesx.management.records import KnownVmware
from dtesx.management.store import Store
from dtesx.model.api import NewRole, NewVmware, VmwareInfo
from dtesx.model.vmware import VirtualMachine, VmwareServer
from dtesx.vsphere.client import VSphere, connect

log = get_logger(__name__)

Connect = Callable[[VmwareServer, str], AbstractContextManager[VSphere]]

_UUID = Path("/sys/class/dmi/id/product_uuid")


class Vmware:
    """Adds, shows and removes VMware servers; ``uuid_file`` tells the UUID of this very VM."""

    def __init__(self, store: Store, *, connect: Connect = connect, uuid_file: Path = _UUID) -> None:
        self._store, self._connect, self._uuid_file = store, connect, uuid_file

    def add(self, new: NewVmware) -> VmwareInfo:
        """Log in once with the pinned certificate, find the appliance's own VM, then store.

        Raises Conflict (name taken), UntrustedCertificate (with the thumbprint presented), Refused
        (wrong login), ConnectionFailed, NotFound (the appliance's VM is not there).
        """
        checked_name(new.name)
        checked_port(new.port)
        self._check_free(new.name)
        server = VmwareServer(new.name, new.address, new.user, new.port, new.thumbprint.strip().upper())
        with self.session(server, new.password) as vsphere:
            own = self._own_vm(vsphere, new)
            about = vsphere.about()
        known = KnownVmware(server, own.name, own.instance_uuid, new.password)
        self._store.add_vmware(known)
        log.info("VMware server added", name=new.name, address=new.address, version=about.version)
        return replace(known.info, about=about)

    def all(self) -> tuple[VmwareInfo, ...]:
        """The known VMware servers by name, without asking them."""
        return tuple(known.info for known in self._store.all_vmware())

    def details(self, name: str) -> VmwareInfo:
        """What a VMware server says of itself now."""
        known = self._store.vmware(name)
        with self.session(known.server, known.password) as vsphere:
            return replace(
                known.info,
                about=vsphere.about(),
                datastores=vsphere.datastores(),
                networks=vsphere.networks(),
            )

    def trust(self, name: str, thumbprint: str) -> None:
        """Pin another certificate of a known server, once it let us in with that one.

        Raises NotFound, and what ``session`` raises: UntrustedCertificate when it shows yet another one.
        """
        known = self._store.vmware(name)
        server = replace(known.server, thumbprint=thumbprint.strip().upper())
        with self.session(server, known.password):
            self._store.repin_vmware(name, server.thumbprint)
        log.warning("another certificate of a VMware server is trusted", name=name, sha256=server.thumbprint)

    def put_role(self, name: str, new: NewRole) -> None:
        """Make the role that dtesx needs at a known server, or set its privileges anew.

        Raises Refused when the account may not do that; another one can be given for this once.
        """
        known = self._store.vmware(name)
        server = replace(known.server, user=new.user) if new.user else known.server
        with self.session(server, new.password if new.user else known.password) as vsphere:
            vsphere.put_role(new.role)
        log.info("role made", name=name, role=new.role)

    def remove(self, name: str) -> None:
        """Forget a VMware server; Conflict while a job uses it."""
        self._store.remove_vmware(name)
        log.info("VMware server removed", name=name)

    @contextmanager
    def session(self, server: VmwareServer, password: str) -> Iterator[VSphere]:
        """A session; a certificate that is not the pinned one is explained to the user."""
        try:
            with self._connect(server, password) as vsphere:
                yield vsphere
        except UntrustedCertificate as error:
            raise _explained(server, error) from error

    def _own_vm(self, vsphere: VSphere, new: NewVmware) -> VirtualMachine:
        if new.appliance_vm:
            return vsphere.find_vm(new.appliance_vm)
        hint = "name it with --appliance-vm"
        try:
            uuid = self._uuid_file.read_text().strip().lower()
        except OSError as error:
            raise NotFound(f"this machine's own UUID cannot be read: {error.strerror}", hint=hint) from error
        try:
            return vsphere.vm_by_uuid(uuid)
        except NotFound as error:
            raise NotFound(
                f"{new.address} has no VM with this appliance's UUID {uuid}",
                hint=f"{hint}, or add the server that this appliance runs on",
            ) from error

    def _check_free(self, name: str) -> None:
        if any(known.server.name == name for known in self._store.all_vmware()):
            raise Conflict(
                f"there is a VMware server {name} already",
                hint=f"choose another name, or remove it first: dtesx vmware remove {name}",
            )


def _explained(server: VmwareServer, error: UntrustedCertificate) -> UntrustedCertificate:
    if server.thumbprint:
        text = f"{server.address} shows another certificate than the one that was trusted"
    else:
        text = f"the certificate of {server.address} is not trusted yet"
    return UntrustedCertificate(
        text,
        thumbprint=error.thumbprint,
        hint="compare the thumbprint with the server's own; if they are equal, "
        f"pass --trust-thumbprint {error.thumbprint}",
    )
