from __future__ import annotations

import http.client
from typing import Any

import pytest
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
from dtesx.vsphere.faults import RULES, Situation, explain, explained

SITUATION = Situation("vCenter vc (vc.example.org:443)", "admin", "create the replica web", "ds1", "web")


def test_every_rule_gives_a_whole_sentence_and_a_hint() -> None:
    for kind in RULES:
        error = explain(kind(), SITUATION)
        assert error.message.startswith("could not create the replica web: ")
        assert "{" not in error.message + error.hint
        assert error.hint


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (vim.fault.InvalidLogin(), Refused, ["vCenter vc", "password of admin"]),
        (vim.fault.PasswordExpired() if hasattr(vim.fault, "PasswordExpired") else vim.fault.InvalidLogin(),
         Refused, ["admin"]),
        (vim.fault.NotAuthenticated(), Refused, ["session of admin"]),
        (vim.fault.DuplicateName(name="web"), Conflict, ["the name web is already taken"]),
        (vim.fault.AlreadyExists(name="web"), Conflict, ["the name web is already taken"]),
        (vim.fault.NoDiskSpace(datastore="store9"), TargetFull, ["store9", "free space"]),
        (vim.fault.InsufficientStorageSpace(), TargetFull, ["ds1"]),
        (vim.fault.InsufficientMemoryResourcesFault(), VSphereError, ["CPU or memory"]),
        (vim.fault.FileLocked(file="[ds1] web/web.vmdk"), Conflict, ["[ds1] web/web.vmdk", "another VM"]),
        (vim.fault.FileNotFound(file="[ds1] x.vmdk"), NotFound, ["[ds1] x.vmdk"]),
        (vim.fault.InvalidName(name="a/b"), UsageError, ["a/b"]),
        (vim.fault.TaskInProgress(), Conflict, ["another task"]),
        (vim.fault.RestrictedVersion(), Refused, ["read-only"]),
        (vim.fault.InvalidPowerState(msg="The VM is on."), Conflict, ["The VM is on."]),
        (vmodl.fault.HostNotReachable(), ConnectionFailed, ["lost contact"]),
        (vmodl.fault.SystemError(msg="internal"), VSphereError, ["internal"]),
        (vim.fault.VmConfigFault(), VSphereError, ["VmConfigFault"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_a_fault_becomes_its_error(fault: Any, kind: type[DtesxError], words: list[str]) -> None:
    error = explain(fault, SITUATION)
    assert type(error) is kind
    for word in words:
        assert word in error.message


def test_a_missing_privilege_is_named_with_its_object() -> None:
    folder = vim.Folder("group-v3", None)
    fault = vim.fault.NoPermission(object=folder, privilegeId="VirtualMachine.Inventory.Create")
    situation = Situation("vCenter vc", "admin", "create", naming=lambda managed: f"folder {managed._moId}")
    error = explain(fault, situation)
    assert type(error) is Refused
    assert "VirtualMachine.Inventory.Create on folder group-v3" in error.message
    assert "docs/vsphere.md" in error.hint


def test_newer_servers_list_missing_privileges() -> None:
    entry = vim.fault.NoPermission.EntityPrivileges(
        entity=vim.Folder("group-v3", None), privilegeIds=["Datastore.AllocateSpace", "Network.Assign"]
    )
    error = explain(vim.fault.NoPermission(missingPrivileges=[entry]), SITUATION)
    assert "Datastore.AllocateSpace, Network.Assign on group-v3" in error.message


def test_a_lock_told_only_in_the_messages_is_seen() -> None:
    message = vmodl.LocalizableMessage(key="msg.fileio.lock", message="Failed to lock the file")
    error = explain(vim.fault.GenericVmConfigFault(faultMessage=[message]), SITUATION)
    assert type(error) is Conflict
    assert "in use by another VM" in error.message


def test_go_type_names_are_no_reason() -> None:
    assert "types" not in explain(vim.fault.InvalidState(msg="*types.InvalidState"), SITUATION).message


@pytest.mark.parametrize(
    "error", [ConnectionResetError(104, "reset"), TimeoutError(), http.client.BadStatusLine("x")], ids=repr
)
def test_a_server_that_goes_away(error: Exception) -> None:
    with (
        pytest.raises(ConnectionFailed, match="could not create the replica web: vCenter vc") as caught,
        explained(SITUATION),
    ):
        raise error
    assert caught.value.recoverable
    assert caught.value.hint


def test_our_own_errors_pass_unchanged() -> None:
    own = Conflict("taken", hint="other")
    with pytest.raises(Conflict) as caught, explained(SITUATION):
        raise own
    assert caught.value is own


def test_programming_errors_are_not_disguised() -> None:
    with pytest.raises(KeyError), explained(SITUATION):
        raise KeyError("x")


def test_the_vm_is_named_in_the_action_without_asking_a_dead_server() -> None:
    asked: list[Any] = []

    def ask(managed: Any) -> str:
        asked.append(managed)
        return "web"

    situation = Situation(
        "vCenter vc",
        "admin",
        "power on the VM {vm}",
        vm=vim.VirtualMachine("vm-7", None),
        naming=ask,
    )
    assert "could not power on the VM web:" in explain(vim.fault.InvalidState(), situation).message
    asked.clear()
    with pytest.raises(ConnectionFailed, match="power on the VM vm-7"), explained(situation):
        raise TimeoutError
    assert not asked
