"""What a validation asks of vSphere, against the simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dtesx.base.errors import Conflict, Refused
from dtesx.model.job import JobSpec, JobState
from dtesx.model.record import JobRecord
from dtesx.model.replica import ReplicaSpec
from dtesx.model.validation import Check, Verdict
from dtesx.model.vmware import MissingPrivileges, NicPlan, ReplicaPlan, VirtualMachine, Whereabouts
from dtesx.recovery import protect
from dtesx.recovery.examining import examine
from dtesx.validation.findings import findings
from dtesx.vsphere import collector
from dtesx.vsphere.client import VSphere
from dtesx.vsphere.privileges import IDS, PRIVILEGES, Subject
from tests.unit.recovery.world import INVENTORY, World

from .conftest import APPLIANCE, STORE, Site

pytestmark = pytest.mark.integration


def test_an_account_with_the_role_lacks_nothing(
    site: Site, appliance: VirtualMachine, plan: ReplicaPlan
) -> None:
    for user in ("admin", "exact"):
        with site.login(user) as vsphere:
            assert vsphere.missing_privileges(plan, beside=appliance.ref) == ()


@pytest.mark.parametrize("privilege", PRIVILEGES, ids=lambda p: f"{p.id}-{p.subject.name}")
def test_each_missing_privilege_is_told_with_its_object(
    site: Site, appliance: VirtualMachine, plan: ReplicaPlan, privilege: object
) -> None:
    wanted = next(p for p in PRIVILEGES if p is privilege)
    if wanted.subject in (Subject.ADOPTER, Subject.MOVED):
        plan = replace(plan, disks=(replace(plan.disks[0], existing=f"[{STORE}] old/old.vmdk"),))
    with site.login(f"without-{wanted.id}") as vsphere:
        lacks = vsphere.missing_privileges(plan, beside=appliance.ref)
    assert {name for missing in lacks for name in missing.privileges} == {wanted.id}
    missing = next(m for m in lacks if wanted.subject is not Subject.APPLIANCE or m.subject == appliance.name)
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


@dataclass(frozen=True)
class Asked:
    """A source of ours, and vSphere as an account sees it."""

    site: Site
    world: World
    appliance: VirtualMachine

    def wrong(self, job: JobRecord, user: str = "exact") -> dict[Check, str]:
        around = replace(
            self.world.surroundings(),
            vsphere=lambda: self.site.login(user),
            appliance_vm=self.appliance.instance_uuid,
        )
        found = findings(examine(job, around))
        assert found
        return {f.check: f.message for f in found if f.verdict is not Verdict.PASSED}


@pytest.fixture
def asked(site: Site, tmp_path: Path, appliance: VirtualMachine) -> Asked:
    return Asked(site, World(tmp_path), appliance)


def job(**replica: Any) -> JobRecord:
    spec = JobSpec("alpha", "alpha", "vc", ReplicaSpec(STORE, **replica))
    return JobRecord("j1", spec, JobState.CREATED, 0.0)


def test_a_job_before_its_replica_is_made(asked: Asked) -> None:
    assert set(asked.wrong(job())) <= {Check.SPACE, Check.TOOLS}  # what this machine has is its own affair
    assert "no-such" in asked.wrong(job(cluster="no-such"))[Check.PLACE]
    assert Check.REPLICA_NAME in asked.wrong(job(name=APPLIANCE))
    assert Check.PORT_GROUPS in asked.wrong(job(networks={"*": "no-such"}))
    lacking = asked.wrong(job(), "without-Datastore.AllocateSpace")[Check.PRIVILEGES]
    assert lacking == f"the account lacks on {STORE}: Datastore.AllocateSpace"


def test_a_job_with_a_replica(
    asked: Asked,
    vsphere: VSphere,
    appliance: VirtualMachine,
    make_replica: Callable[[ReplicaPlan], VirtualMachine],
) -> None:
    begun = replace(job(name="alpha-validated"), inventory=INVENTORY)
    plan = protect.planned_with(begun, INVENTORY, vsphere.offer(appliance.ref, Whereabouts()))
    made = make_replica(plan.replica)
    protected = replace(begun, layout=plan.layout, replica_ref=made.ref, disks=made.disks)
    assert set(asked.wrong(protected)) <= {Check.SPACE}
    assert Check.PRIVILEGES in asked.wrong(protected, "without-VirtualMachine.Interact.PowerOn")
    assert Check.REPLICA in asked.wrong(replace(protected, replica_ref="vm-99999"))
    assert "made 2" in asked.wrong(replace(protected, disks=made.disks * 2))[Check.REPLICA]


def test_the_role_is_made_once_and_set_right_again(vsphere: VSphere) -> None:
    def roles() -> list[list[str]]:
        manager = vsphere._session.content.authorizationManager
        listed = collector.properties(vsphere._session, manager, ("roleList",))["roleList"]
        return [sorted(role.privilege) for role in listed if role.name == "dtesx"]

    vsphere.put_role("dtesx")
    (made,) = roles()
    assert {privilege.id for privilege in PRIVILEGES} <= set(made)
    assert len(made) <= len(IDS) + 3  # and those of System, which every role has
    vsphere.put_role("dtesx")
    assert roles() == [made]
    with pytest.raises(Refused, match="belongs to vSphere"):
        vsphere.put_role("Admin")


def test_a_vcenter_has_no_free_edition(vsphere: VSphere) -> None:
    assert not vsphere.changes_nothing()
