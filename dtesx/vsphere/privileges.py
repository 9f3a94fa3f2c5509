"""What an account must be allowed to do: one list, for checking accounts and for making the role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pyVmomi import vim

from dtesx.base.errors import Refused
from dtesx.model.vmware import MissingPrivileges
from dtesx.vsphere.collector import properties, rows
from dtesx.vsphere.session import Session


class Subject(Enum):
    """On which object a privilege is needed. REPLICA means the VM folder while there is no replica yet.

    ADOPTER is the same and MOVED a datastore, both only of a replica that is given existing disks.
    """

    FOLDER = auto()
    REPLICA = auto()
    APPLIANCE = auto()
    POOL = auto()
    DATASTORE = auto()
    NETWORK = auto()
    ADOPTER = auto()
    MOVED = auto()


@dataclass(frozen=True)
class Privilege:
    """A privilege by its id, and where it is needed."""

    id: str
    subject: Subject


PRIVILEGES = (
    Privilege("VirtualMachine.Inventory.Create", Subject.FOLDER),
    Privilege("VirtualMachine.Config.AddNewDisk", Subject.FOLDER),
    Privilege("VirtualMachine.Config.AdvancedConfig", Subject.FOLDER),
    Privilege("VirtualMachine.Inventory.Delete", Subject.REPLICA),
    Privilege("VirtualMachine.State.CreateSnapshot", Subject.REPLICA),
    Privilege("VirtualMachine.State.RemoveSnapshot", Subject.REPLICA),
    Privilege("VirtualMachine.Interact.PowerOn", Subject.REPLICA),
    Privilege("VirtualMachine.Interact.PowerOff", Subject.REPLICA),
    Privilege("VirtualMachine.Config.AddExistingDisk", Subject.APPLIANCE),
    Privilege("VirtualMachine.Config.RemoveDisk", Subject.APPLIANCE),
    Privilege("VirtualMachine.Config.AddRemoveDevice", Subject.APPLIANCE),
    Privilege("Resource.AssignVMToPool", Subject.POOL),
    Privilege("Datastore.AllocateSpace", Subject.DATASTORE),
    Privilege("Network.Assign", Subject.NETWORK),
    Privilege("VirtualMachine.Config.AddExistingDisk", Subject.ADOPTER),
    Privilege("VirtualMachine.Config.RemoveDisk", Subject.ADOPTER),
    Privilege("VirtualMachine.Config.AddRemoveDevice", Subject.ADOPTER),
    Privilege("Datastore.Browse", Subject.MOVED),
    Privilege("Datastore.FileManagement", Subject.MOVED),
)
"""By the documentation of each call (docs/vsphere.md says which is for what)."""

IDS = tuple(dict.fromkeys(privilege.id for privilege in PRIVILEGES))
"""Each of them once."""


def missing(session: Session, objects: Mapping[Subject, Sequence[Any]]) -> tuple[MissingPrivileges, ...]:
    """What the session's account lacks on these objects; a subject without objects is not checked."""
    entities = [item for items in objects.values() for item in items]
    granted = _granted(session, list({str(item._moId): item for item in entities}.values()))
    names = _names(session, entities)
    lacking: dict[str, list[str]] = {}
    for privilege in PRIVILEGES:
        for item in objects.get(privilege.subject, ()):
            ref = str(item._moId)
            if privilege.id not in granted[ref]:
                lacking.setdefault(ref, []).append(privilege.id)
    return tuple(MissingPrivileges(names[ref], tuple(ids)) for ref, ids in lacking.items())


def put_role(session: Session, name: str) -> None:
    """Make the role that dtesx needs, or give the one of that name exactly these privileges.

    Raises Refused for a role that vSphere keeps for itself.
    """
    manager = session.content.authorizationManager
    wanted = list(IDS)
    roles = properties(session, manager, ("roleList",)).get("roleList", ())
    found = next((role for role in roles if role.name == name), None)
    if found is None:
        session.change(lambda: manager.AddAuthorizationRole(name, wanted))
    elif found.system:
        raise Refused(f"the role {name} belongs to vSphere itself", hint="choose another name")
    else:
        session.change(lambda: manager.UpdateAuthorizationRole(found.roleId, name, wanted))


def _granted(session: Session, entities: Sequence[Any]) -> dict[str, set[str]]:
    content = session.content
    key = properties(session, content.sessionManager, ("currentSession",))["currentSession"].key
    answers = session.read(
        lambda: content.authorizationManager.HasPrivilegeOnEntities(list(entities), key, list(IDS))
    )
    return {
        str(answer.entity._moId): {entry.privId for entry in answer.privAvailability if entry.isGranted}
        for answer in answers
    }


def _names(session: Session, entities: Sequence[Any]) -> dict[str, str]:
    return {row.ref: row.name for row in rows(session, entities, vim.ManagedEntity, ("name",))}
