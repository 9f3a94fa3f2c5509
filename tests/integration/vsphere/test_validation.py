"""What a validation asks of vSphere, against the simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dtesx.base.errors import Conflict, Refused
from dtesx.model.vmware import MissingPrivileges, NicPlan, ReplicaPlan, VirtualMachine
from dtesx.vsphere import collector
from dtesx.vsphere.client import VSphere
from dtesx.vsphere.privileges import PRIVILEGES, Subject

from .conftest import Site

pytestmark = pytest.mark.integration


def test_an_account_with_the_role_lacks_nothing(
    site: Site, appliance: VirtualMachine, plan: ReplicaPlan
) -> None:
    for user in ("admin", "exact"):
        with site.login(user) as vsphere:
            assert vsphere.missing_privileges(plan, beside=appliance.ref) == ()


@pytest.mark.parametrize("privilege", PRIVILEGES, ids=lambda p: str(p.id))
def test_each_missing_privilege_is_told_with_its_object(
    site: Site, appliance: VirtualMachine, plan: ReplicaPlan, privilege: object
) -> None:
    wanted = next(p for p in PRIVILEGES if p is privilege)
    with site.login(f"without-{wanted.id}") as vsphere:
        (missing,) = vsphere.missing_privileges(plan, beside=appliance.ref)
    assert missing.privileges == (wanted.id,)
    if wanted.subject is Subject.APPLIANCE:
        assert missing.subject == appliance.name
    if wanted.subject is Subject.DATASTORE:
        assert missing.subject == plan.datastore
    if wanted.subject is Subject.NETWORK:
        assert missing.subject == "VM Network"


def test_a_replica_that_exists_is_what_its_privileges_are_for(
    site: Site,
    appliance: VirtualMachine,
    plan: ReplicaPlan,
    make_replica: Callable[[ReplicaPlan], VirtualMachine],
) -> None:
    made = make_replica(plan)
    with site.login("without-VirtualMachine.Interact.PowerOn") as vsphere:
        lacks = vsphere.missing_privileges(plan, beside=appliance.ref, replica_ref=made.ref)
    assert lacks == (MissingPrivileges(made.name, ("VirtualMachine.Interact.PowerOn",)),)


def test_names_that_do_not_exist_are_left_to_the_plan(
    vsphere: VSphere, appliance: VirtualMachine, plan: ReplicaPlan
) -> None:
    elsewhere = replace(plan, datastore="none", nics=(NicPlan("none"),))
    assert vsphere.missing_privileges(elsewhere, beside=appliance.ref) == ()


def test_a_name_is_free_ours_or_taken(
    vsphere: VSphere,
    appliance: VirtualMachine,
    plan: ReplicaPlan,
    make_replica: Callable[[ReplicaPlan], VirtualMachine],
) -> None:
    vsphere.check_name(plan, beside=appliance.ref)
    make_replica(plan)
    vsphere.check_name(plan, beside=appliance.ref)
    with pytest.raises(Conflict, match=f"called {plan.name} exists already"):
        vsphere.check_name(replace(plan, owner="somebody"), beside=appliance.ref)


def test_the_role_is_made_once_and_set_right_again(vsphere: VSphere) -> None:
    def roles() -> list[list[str]]:
        manager = vsphere._session.content.authorizationManager
        listed = collector.properties(vsphere._session, manager, ("roleList",))["roleList"]
        return [sorted(role.privilege) for role in listed if role.name == "dtesx"]

    vsphere.put_role("dtesx")
    (made,) = roles()
    assert {privilege.id for privilege in PRIVILEGES} <= set(made)
    assert len(made) <= len(PRIVILEGES) + 3  # and those of System, which every role has
    vsphere.put_role("dtesx")
    assert roles() == [made]
    with pytest.raises(Refused, match="belongs to vSphere"):
        vsphere.put_role("Admin")


def test_a_vcenter_has_no_free_edition(vsphere: VSphere) -> None:
    assert not vsphere.changes_nothing()
