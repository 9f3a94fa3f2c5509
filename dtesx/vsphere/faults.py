"""vSphere's faults as our errors: one table, each row with what happened and what to do next."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

from pyVmomi import vim, vmodl

from dtesx.base.errors import (
    Conflict,
    ConnectionFailed,
    DtesxError,
    NotFound,
    Refused,
    TargetFull,
    UsageError,
    VSphereError,
)

TRANSPORT = (OSError, http.client.HTTPException, ExpatError)
"""What pyVmomi raises when the server goes away in the middle of a call."""

_LOCK_WORDS = ("msg.fileio.lock", "failed to lock the file", "file is locked", "filelock")


@dataclass(frozen=True)
class Situation:
    """What was being done when a fault came: the words that its message needs.

    ``action`` completes "could not ..."; {vm} in it stands for the name of the managed object ``vm``.
    ``naming`` asks the server for the display name of a managed object.
    """

    server: str
    user: str
    action: str
    datastore: str = ""
    name: str = ""
    vm: Any = None
    naming: Callable[[Any], str] = lambda managed: str(managed._moId)

    def described(self, naming: Callable[[Any], str]) -> str:
        """The action with its VM's name filled in."""
        return self.action.replace("{vm}", naming(self.vm)) if self.vm is not None else self.action


@dataclass(frozen=True)
class _Rule:
    """A row of the table. Texts may use {reason}, {name}, {file}, {datastore}, {privilege}, {object}, ..."""

    error: type[DtesxError]
    text: str
    hint: str


_PRIVILEGES = "docs/vsphere.md lists the privileges that dtesx needs"
_NAME_TAKEN = _Rule(
    Conflict,
    "the name {name} is already taken",
    "choose another name (replica.name in the job), or remove what bears it if nobody needs it",
)
_FULL = _Rule(
    TargetFull,
    "the datastore {datastore} has not enough free space",
    "free space on the datastore or choose another one (replica.datastore), then run the command again",
)
_BUSY = _Rule(
    Conflict,
    "another task is at work on it",
    "wait until the task has ended (Recent Tasks in the vSphere client), then run the command again",
)
_LOCKED = _Rule(
    Conflict,
    "the disk {file} is in use by another VM",
    "detach the disk from the VM that holds it, or power that VM off, then run the command again",
)
_HOST_AWAY = _Rule(
    ConnectionFailed,
    "vCenter has lost contact with the ESXi host",
    "check in the vSphere client that the host is connected and powered on, then run the command again",
)
_NO_RESOURCES = _Rule(
    VSphereError,
    "the host or resource pool has not enough CPU or memory left: {reason}",
    "choose another resource pool, give the replica less (replica.sockets, replica.memory_mib), or stop VMs",
)
_NOT_ALLOWED = _Rule(
    Refused,
    "the account {user} lacks the privilege {privilege} on {object}",
    f"give the account a role with that privilege on that object; {_PRIVILEGES}",
)
_WRONG_STATE = _Rule(
    Conflict, "its state does not allow it: {reason}", "look at the VM in the vSphere client, then run again"
)

RULES: dict[type, _Rule] = {
    vim.fault.InvalidLogin: _Rule(
        Refused,
        "{server} does not accept the password of {user}",
        "check user name (with its domain, as in administrator@vsphere.local) and password; repeated wrong "
        "passwords lock the account for some minutes",
    ),
    vim.fault.NotAuthenticated: _Rule(
        Refused,
        "{server} ended the session of {user} and did not take a new one",
        "check that the account is allowed to log in and is not locked, then run the command again",
    ),
    vim.fault.NoPermission: _NOT_ALLOWED,
    vmodl.fault.SecurityError: _Rule(
        Refused, "{server} does not allow it to {user}: {reason}", f"check the account's roles; {_PRIVILEGES}"
    ),
    vim.fault.RestrictedVersion: _Rule(
        Refused,
        "the licence of {server} makes its API read-only",
        "give the ESXi host a licence that allows changes through the API, or work through a vCenter",
    ),
    vim.fault.DuplicateName: _NAME_TAKEN,
    vim.fault.AlreadyExists: _NAME_TAKEN,
    vim.fault.FileAlreadyExists: _Rule(
        Conflict,
        "the file {file} already exists",
        "choose another name (replica.name in the job), or remove the file if nobody needs it",
    ),
    vim.fault.InvalidName: _Rule(
        UsageError,
        "{name} is not a name that vSphere takes",
        "choose another name, without / \\ % and shorter",
    ),
    vim.fault.NoDiskSpace: _FULL,
    vim.fault.InsufficientStorageSpace: _FULL,
    vim.fault.InsufficientResourcesFault: _NO_RESOURCES,
    vim.fault.FileLocked: _LOCKED,
    vim.fault.ResourceInUse: _Rule(
        Conflict, "{name} is in use", "find what uses it in the vSphere client and end that, then run again"
    ),
    vim.fault.TaskInProgress: _BUSY,
    vim.fault.ConcurrentAccess: _BUSY,
    vim.fault.FileNotFound: _Rule(
        NotFound,
        "the file {file} does not exist",
        "look in the datastore whether somebody moved or removed it",
    ),
    vim.fault.InvalidDatastore: _Rule(
        VSphereError,
        "the datastore {datastore} cannot be used: {reason}",
        "check that the datastore is mounted on the appliance's ESXi host and not in maintenance",
    ),
    vmodl.fault.HostCommunication: _HOST_AWAY,
    vim.fault.HostConnectFault: _HOST_AWAY,
    vim.fault.InvalidPowerState: _WRONG_STATE,
    vim.fault.InvalidState: _WRONG_STATE,
    vmodl.fault.ManagedObjectNotFound: _Rule(
        NotFound,
        "{object} does not exist any more",
        "somebody removed it from vSphere's inventory; look there",
    ),
    vmodl.fault.RequestCanceled: _Rule(
        VSphereError, "somebody cancelled the task in vSphere", "run the command again"
    ),
    vmodl.fault.NotSupported: _Rule(
        VSphereError, "this server does not support it: {reason}", "check its version and licence"
    ),
}
"""Which error a fault becomes; the nearest class among a fault's ancestors decides."""

_ANY = _Rule(
    VSphereError,
    "vSphere reported {reason}",
    "look at the task and at the VM in the vSphere client, put right what it says, then run again",
)


@contextmanager
def explained(situation: Situation) -> Iterator[None]:
    """Turn whatever pyVmomi raises inside into a DtesxError that tells ``situation``."""
    try:
        yield
    except DtesxError:
        raise
    except vmodl.MethodFault as fault:
        raise explain(fault, situation) from fault
    except TRANSPORT as error:
        raise unreachable(situation, error) from error


def explain(fault: Any, situation: Situation) -> DtesxError:
    """The error for a fault, by the table; a fault without a row becomes VSphereError."""
    rule = _LOCKED if _tells_lock(fault) else _rule_for(type(fault))
    facts = _facts(fault, situation)
    text = rule.text.format_map(facts)
    message = f"could not {situation.described(situation.naming)}: {text}"
    return rule.error(message, hint=rule.hint.format_map(facts))


def unreachable(situation: Situation, error: Exception) -> ConnectionFailed:
    """The error for a server that stopped answering."""
    action = situation.described(lambda managed: str(managed._moId))
    return ConnectionFailed(
        f"could not {action}: {situation.server} is not reachable ({error or type(error).__name__})",
        hint="check that vCenter runs and the network to it, then run the command again",
    )


def _rule_for(kind: type) -> _Rule:
    return next((RULES[ancestor] for ancestor in kind.__mro__ if ancestor in RULES), _ANY)


def _tells_lock(fault: Any) -> bool:
    """Old and new ESXi hide a file lock in the message list of a generic fault."""
    words = [reason(fault)]
    words += [f"{item.key} {item.message or ''}" for item in _value(fault, "faultMessage") or ()]
    return any(mark in text.lower() for text in words for mark in _LOCK_WORDS)


def reason(fault: Any) -> str:
    """The server's own sentence, or the fault's name where there is none (simulators send Go types)."""
    text = str(_value(fault, "msg") or "").strip()
    if not text or text.startswith("*types."):
        return str(type(fault).__name__).rpartition(".")[2]
    return text


def _facts(fault: Any, situation: Situation) -> dict[str, str]:
    privilege, managed = _missing_privilege(fault)
    name = _value(fault, "name") or situation.name
    return {
        "reason": reason(fault),
        "server": situation.server,
        "user": situation.user,
        "name": str(name or "given"),
        "file": str(_value(fault, "file") or name or "(unnamed)"),
        "datastore": str(_value(fault, "datastore") or situation.datastore or "of the replica"),
        "privilege": privilege,
        "object": situation.naming(managed) if managed else situation.name or "the object",
    }


def _missing_privilege(fault: Any) -> tuple[str, Any]:
    """Privilege and object of a NoPermission (object alone of other faults); newer servers list them."""
    managed = _value(fault, "object") or _value(fault, "obj")
    privilege = str(_value(fault, "privilegeId") or "")
    for entry in _value(fault, "missingPrivileges") or ():
        if not privilege:
            return ", ".join(entry.privilegeIds), entry.entity
    return privilege or "(not named)", managed


def _value(fault: Any, name: str) -> Any:
    """A fault's property; faults are data objects, so reading them never calls the server."""
    return getattr(fault, name, None)
