"""Calls about vCenter and ESXi hosts."""

from __future__ import annotations

from dtesx.management.vmware import Vmware
from dtesx.management.web import Call, Rule
from dtesx.model.api import NewRole, NewVmware, VmwareInfo


def rules(vmware: Vmware) -> tuple[Rule, ...]:
    """``/v1/vmware``."""

    def add(call: Call) -> VmwareInfo:
        return vmware.add(call.decoded(NewVmware))

    def show_all(_call: Call) -> tuple[VmwareInfo, ...]:
        return vmware.all()

    def show(call: Call) -> VmwareInfo:
        return vmware.details(call.path["name"])

    def put_role(call: Call) -> None:
        vmware.put_role(call.path["name"], call.decoded(NewRole))

    def remove(call: Call) -> None:
        vmware.remove(call.path["name"])

    return (
        Rule("POST", "/v1/vmware", add),
        Rule("GET", "/v1/vmware", show_all),
        Rule("GET", "/v1/vmware/{name}", show),
        Rule("POST", "/v1/vmware/{name}/roles", put_role),
        Rule("DELETE", "/v1/vmware/{name}", remove),
    )
