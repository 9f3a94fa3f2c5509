"""vSphere for the rest of dtesx: one class, model types in and out, every fault explained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from pyVmomi import vim, vmodl

from dtesx.base.errors import DtesxError
from dtesx.base.log import get_logger
from dtesx.model.vmware import (
    About,
    Datastore,
    MissingPrivileges,
    Network,
    Offer,
    ReplicaPlan,
    Snapshot,
    StoredDisk,
    VirtualDisk,
    VirtualMachine,
    VmwareServer,
    Whereabouts,
)
from dtesx.vsphere import (
    adopting,
    disks,
    editions,
    inventory,
    machines,
    placement,
    power,
    privileges,
    replica,
    snapshots,
    stored,
)
from dtesx.vsphere.collector import Row, properties
from dtesx.vsphere.faults import TRANSPORT, Situation, explained
from dtesx.vsphere.session import Session, open_session, server_label
from dtesx.vsphere.tasks import Progress, unseen

log = get_logger(__name__)


@contextmanager
def connect(server: VmwareServer, password: str) -> Iterator[VSphere]:
    """Log in to a vCenter or ESXi host; log out at the end.

    Raises UntrustedCertificate when the server's thumbprint is not the pinned one (or none is
    pinned), Refused for wrong credentials, ConnectionFailed when it is away.
    """
    with open_session(server, password) as session:
        yield VSphere(session)


class VSphere:
    """A logged-in server. Not for use by several threads at a time; make one for each.

    ``ref`` arguments are managed object ids. Every method may raise ConnectionFailed, Refused (a
    privilege is missing), NotFound (the object is gone) and VSphereError besides what it says.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def about(self) -> About:
        """What the server says it is."""
        info = self._session.content.about
        return About(info.name, info.version, info.build, info.apiType, info.instanceUuid or "")

    def datastores(self) -> tuple[Datastore, ...]:
        """Every datastore that is reachable, by name."""
        with self._doing("list the datastores"):
            return inventory.datastores(self._session)

    def networks(self) -> tuple[Network, ...]:
        """Every port group a VM can be connected to, by name."""
        with self._doing("list the networks"):
            return inventory.networks(self._session)

    def find_vm(self, name: str) -> VirtualMachine:
        """A VM by its display name. NotFound lists what exists; Conflict when several bear it."""
        with self._doing(f"find the VM {name}"):
            return machines.machine_by_name(self._session, name)

    def vm(self, ref: str) -> VirtualMachine:
        """A VM by its managed object id."""
        with self._doing(f"read the VM {ref}"):
            return machines.machine(self._session, machines.handle(self._session, ref))

    def vm_by_uuid(self, uuid: str) -> VirtualMachine:
        """A VM by its BIOS UUID, which its guest reads in /sys/class/dmi/id/product_uuid."""
        with self._doing(f"find the VM with the UUID {uuid}"):
            return machines.machine_by_uuid(self._session, uuid)

    def vm_by_instance(self, uuid: str) -> VirtualMachine:
        """A VM by its instance UUID, which stays when it is renamed or moved."""
        with self._doing(f"find the VM with the instance UUID {uuid}"):
            return machines.machine_by_instance(self._session, uuid)

    def replica_of(self, owner: str, name: str) -> VirtualMachine | None:
        """The VM of that name whose notes name ``owner``; None when there is none."""
        with self._doing(f"look for a VM called {name}"):
            return replica.owned_by(self._session, owner, name)

    def offer(self, appliance_ref: str, where: Whereabouts, existing: Iterable[str] = ()) -> Offer:
        """What there is for a replica that the appliance makes, and of the existing disks with these paths.

        Raises NotFound for a place that does not exist.
        """
        with self._doing("see what there is for a replica"):
            appliance = machines.handle(self._session, appliance_ref)
            return placement.offer(self._session, where, appliance, existing)

    def changes_nothing(self) -> bool:
        """Whether the server's licence lets nothing be changed through the API: the free ESXi."""
        with self._doing("read the licences"):
            return editions.changes_nothing(self._session)

    def missing_privileges(
        self, plan: ReplicaPlan, *, beside: str, replica_ref: str = ""
    ) -> tuple[MissingPrivileges, ...]:
        """What the account lacks for a replica near the VM ``beside``, made already or not."""
        with self._doing("read the account's privileges"):
            appliance = machines.handle(self._session, beside)
            made = machines.handle(self._session, replica_ref) if replica_ref else None
            objects = placement.subjects(self._session, plan, appliance, made)
            return privileges.missing(self._session, objects)

    def put_role(self, name: str) -> None:
        """Make the role with the privileges that dtesx needs, or set those of the one that is there."""
        with self._doing(f"make the role {name}", name=name):
            privileges.put_role(self._session, name)

    def check_name(self, plan: ReplicaPlan, *, beside: str) -> None:
        """Raise Conflict when a VM has the replica's name and is not this job's replica."""
        with self._doing(f"look for a VM called {plan.name}"):
            appliance = machines.handle(self._session, beside)
            spot = placement.find_spot(self._session, plan.where, appliance)
            replica.find_replica(self._session, spot.datacenter, plan)

    def create_replica(
        self, plan: ReplicaPlan, *, beside: str, on_progress: Progress = unseen
    ) -> VirtualMachine:
        """Make a replica powered off, near the VM ``beside``; one that exists for the owner is returned.

        Its existing disks are moved to it. When one of them cannot be had, all is as it was before: they
        are back at their places, and the VM is gone. Raises Conflict when another VM has the name or such
        a disk, NotFound for a datastore, network, pool, folder or disk that does not exist, TargetFull
        when the datastore has no room.
        """
        action = f"create the replica {plan.name}"
        with self._doing(action, datastore=plan.datastore, name=plan.name):
            appliance = machines.handle(self._session, beside)
            where = placement.place(self._session, plan, appliance)
            found = self._made(plan, where, on_progress)
            managed = machines.handle(self._session, found.ref)
            try:
                adopting.adopt(self._session, managed, plan, where, on_progress)
            except (DtesxError, vmodl.MethodFault):
                self._undo(managed, plan, where)
                raise
            return machines.machine(self._session, managed)

    def _made(self, plan: ReplicaPlan, where: placement.Placement, on_progress: Progress) -> VirtualMachine:
        found = replica.find_replica(self._session, where.spot.datacenter, plan)
        if found is not None:
            return found
        try:
            return replica.create(self._session, plan, where, on_progress)
        except (vim.fault.DuplicateName, vim.fault.AlreadyExists):
            # A former request of ours may have ended between our look and our request.
            found = replica.find_replica(self._session, where.spot.datacenter, plan)
            if found is None:
                raise
            return found

    def _undo(self, managed: Any, plan: ReplicaPlan, where: placement.Placement) -> None:
        try:
            adopting.give_back(self._session, managed, plan, where)
            power.destroy(self._session, managed, plan.owner)
        except (DtesxError, vmodl.MethodFault, *TRANSPORT) as error:
            # The first error is the one to report; what stays is found again by the same command.
            log.warning("a replica was made in part and stays", name=plan.name, error=str(error))

    def stored_disks(self, appliance_ref: str, paths: Iterable[str]) -> tuple[StoredDisk, ...]:
        """Those of the virtual disks with these paths that are on the datastores of a VM's host."""
        with self._doing("look for virtual disks"):
            beside = machines.handle(self._session, appliance_ref)
            datacenter = inventory.datacenter_of(self._session, beside)
            present = inventory.datastores_beside(self._session, beside)
            return stored.stored(self._session, paths, present, datacenter)

    def point_disk(self, vm_ref: str, disk: VirtualDisk, path: str) -> None:
        """Have a VM's disk be the file at ``path``, to which somebody moved it."""
        with self._doing(f"point a disk of the VM {{vm}} to {path}", name=path, vm=vm_ref):
            managed = machines.handle(self._session, vm_ref)
            adopting.point(self._session, managed, disk, path)

    def attach_disk(self, vm_ref: str, disk: VirtualDisk) -> VirtualDisk:
        """Attach an existing disk; return it as this VM sees it. Fine when it is attached already.

        Raises Conflict when another running VM holds it, or when the VM has no room.
        """
        with self._doing(f"attach the disk {disk.path}", name=disk.path):
            return disks.attach(self._session, machines.handle(self._session, vm_ref), disk)

    def detach_disk(self, vm_ref: str, disk: VirtualDisk) -> None:
        """Take a disk off a VM and keep its files. Fine when it is not attached."""
        with self._doing(f"detach the disk {disk.path}", name=disk.path):
            disks.detach(self._session, machines.handle(self._session, vm_ref), disk)

    def create_snapshot(
        self, vm_ref: str, name: str, description: str, on_progress: Progress = unseen
    ) -> Snapshot:
        """Take a snapshot of a VM's disks."""
        with self._doing(f"take the snapshot {name}", name=name):
            managed = machines.handle(self._session, vm_ref)
            return snapshots.take(self._session, managed, name, description, on_progress)

    def snapshots(self, vm_ref: str) -> tuple[Snapshot, ...]:
        """All snapshots of a VM, parents before children."""
        with self._doing("list the snapshots"):
            return snapshots.listed(self._session, machines.handle(self._session, vm_ref))

    def remove_snapshot(self, snapshot: Snapshot, on_progress: Progress = unseen) -> None:
        """Remove a snapshot; those taken later stay whole."""
        with self._doing(f"remove the snapshot {snapshot.name}", name=snapshot.name):
            managed = self._session.managed(vim.vm.Snapshot, snapshot.ref)
            snapshots.remove(self._session, managed, on_progress)

    def power_on(self, ref: str) -> None:
        """Start a VM. Fine when it runs."""
        with self._doing("power on the VM {vm}", vm=ref):
            power.power_on(self._session, machines.handle(self._session, ref))

    def power_off(self, ref: str) -> None:
        """Switch a VM off without asking its guest. Fine when it is off."""
        with self._doing("power off the VM {vm}", vm=ref):
            power.power_off(self._session, machines.handle(self._session, ref))

    def wait_for_address(self, ref: str, *, timeout: float, on_wait: Callable[[float], None]) -> str:
        """Wait until the guest reports an address; see ``power.wait_for_address``."""
        with self._doing("learn the address of the VM {vm}", vm=ref):
            machine = machines.handle(self._session, ref)
            return power.wait_for_address(self._session, machine, timeout=timeout, on_wait=on_wait)

    def destroy_vm(self, ref: str, *, owner: str) -> None:
        """Switch off and remove a VM with its files, only when its notes name ``owner``."""
        with self._doing("remove the VM {vm}", vm=ref):
            power.destroy(self._session, machines.handle(self._session, ref), owner)

    def _doing(
        self, action: str, *, datastore: str = "", name: str = "", vm: str = ""
    ) -> AbstractContextManager[None]:
        server = self._session.server
        subject = machines.handle(self._session, vm) if vm else None
        return explained(
            Situation(server_label(server), server.user, action, datastore, name, subject, self._name_of)
        )

    def _name_of(self, managed: Any) -> str:
        """For messages: the display name, or the id of an object that we may not read or that is gone."""
        try:
            return Row(managed, properties(self._session, managed, ("name",))).name
        except (vmodl.MethodFault, *TRANSPORT):
            return str(managed._moId)
