"""Facts in, findings out: each check fails for its own reason, and says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dtesx.base.errors import Conflict, ConnectionFailed, NotFound, UntrustedCertificate, UsageError
from dtesx.model.inventory import Boot, BootLoader
from dtesx.model.job import JobSpec, Problem
from dtesx.model.replica import ReplicaSpec
from dtesx.model.validation import Check, Finding, Verdict
from dtesx.model.vmware import About, Datastore, MissingPrivileges, Network, Offer
from dtesx.planning.plan import plan_job
from dtesx.validation.facts import ApplianceFacts, Facts, PlanFacts, ReplicaFacts, SourceFacts, VsphereFacts
from dtesx.validation.findings import findings
from tests.unit.planning.sources import fs, inventory

GIB = 1 << 30
INVENTORY = inventory(fs("/"), fs("/data", device="/dev/sda2"), disk_bytes=16 * GIB)
SOURCE = SourceFacts("1", "1", 0.4, "10.0.0.1:1500", "", INVENTORY)
VSPHERE = VsphereFacts(About("VMware vCenter Server", "8.0.3", "1", "VirtualCenter", "u"), read_only=False)
AWAY = Problem(ConnectionFailed.code, "it does not answer", "look at it")


def offer(free: int = 100 * GIB, disks: int = 1) -> Offer:
    return Offer(
        (Datastore("d", "ds", "VMFS", 200 * GIB, free),), (Network("n", "VM Network", False),), disks, 19
    )


def planned(made_for: Offer, **replica: object) -> PlanFacts:
    spec = JobSpec("alpha", "alpha", "vc", ReplicaSpec("ds", **replica))  # type: ignore[arg-type]
    return PlanFacts(plan_job(spec, INVENTORY, made_for), None, ())


GOOD = Facts(ApplianceFacts(), SOURCE, VSPHERE, planned(offer()))
MADE = replace(GOOD, plan=ReplicaFacts(None, (), (Datastore("d", "ds", "VMFS", 200 * GIB, 100 * GIB),)))


OF_A_TREE = ("boot-kernel", "boot-devices", "boot-code", "boot-menu", "labels", "guest-tools", "network")


def bad(facts: Facts) -> list[Finding]:
    return [finding for finding in findings(facts) if finding.verdict is not Verdict.PASSED]


def checks(facts: Facts) -> set[Check]:
    return {finding.check for finding in findings(facts)}


@pytest.mark.parametrize("facts", [GOOD, MADE])
def test_a_job_in_order_passes_every_check_once(facts: Facts) -> None:
    found = findings(facts)
    assert {finding.verdict for finding in found} == {Verdict.PASSED}
    assert len({finding.check for finding in found}) == len(found)


def test_every_check_exists() -> None:
    of_a_tree = {check for check in Check if check.value.startswith(OF_A_TREE)}
    assert checks(GOOD) | checks(MADE) == set(Check) - of_a_tree


def test_a_replica_that_would_not_start_is_told() -> None:
    health = (Finding(Check.BOOT_KERNEL, Verdict.ERROR, "no kernel", "install one"),)
    assert isinstance(MADE.plan, ReplicaFacts)
    assert findings(replace(MADE, plan=replace(MADE.plan, health=health)))[0] == health[0]


def test_what_was_not_looked_at_is_not_said_to_be_in_order() -> None:
    assert Check.CLOCK not in checks(replace(GOOD, source=AWAY, plan=None))
    assert Check.PRIVILEGES not in checks(replace(GOOD, vsphere=AWAY, plan=None))
    assert Check.PORT_GROUPS not in checks(MADE)


@pytest.mark.parametrize(
    ("facts", "check", "verdict"),
    [
        (replace(GOOD, appliance=ApplianceFacts(("there is another",))), Check.JOB_NAME, Verdict.ERROR),
        (replace(GOOD, appliance=ApplianceFacts(own_group="rhel")), Check.GROUP_NAMES, Verdict.WARNING),
        (
            replace(GOOD, appliance=ApplianceFacts((), ("mkfs.xfs",), ("xfsprogs",))),
            Check.TOOLS,
            Verdict.ERROR,
        ),
        (replace(GOOD, source=AWAY, plan=None), Check.SOURCE, Verdict.ERROR),
        (replace(GOOD, source=replace(SOURCE, version="2")), Check.SOURCE_VERSION, Verdict.ERROR),
        (replace(GOOD, source=replace(SOURCE, ahead=-5.1)), Check.CLOCK, Verdict.WARNING),
        (replace(GOOD, source=replace(SOURCE, unreachable="timed out")), Check.WAY_BACK, Verdict.ERROR),
        (
            replace(GOOD, source=replace(SOURCE, inventory=replace(INVENTORY, unread=("lvs is missing",)))),
            Check.SOURCE_READ,
            Verdict.WARNING,
        ),
        (
            replace(
                GOOD,
                source=replace(SOURCE, inventory=replace(INVENTORY, boot=Boot(loader=BootLoader.LILO))),
            ),
            Check.BOOT_LOADER,
            Verdict.WARNING,
        ),
        (
            replace(GOOD, vsphere=Problem(UntrustedCertificate.code, "another one", "compare"), plan=None),
            Check.CERTIFICATE,
            Verdict.ERROR,
        ),
        (replace(GOOD, vsphere=AWAY, plan=None), Check.VSPHERE, Verdict.ERROR),
        (
            replace(GOOD, vsphere=replace(VSPHERE, about=replace(VSPHERE.about, version="6.0.0"))),
            Check.VSPHERE_VERSION,
            Verdict.ERROR,
        ),
        (replace(GOOD, vsphere=replace(VSPHERE, read_only=True)), Check.LICENCE, Verdict.ERROR),
        (
            replace(GOOD, plan=Problem(UsageError.code, "no disk sdx", "correct it")),
            Check.OPTIONS,
            Verdict.ERROR,
        ),
        (
            replace(GOOD, plan=Problem(NotFound.code, "no cluster x", "correct it")),
            Check.PLACE,
            Verdict.ERROR,
        ),
        (
            replace(GOOD, plan=replace(planned(offer()), clash=Problem(Conflict.code, "taken", "another"))),
            Check.REPLICA_NAME,
            Verdict.ERROR,
        ),
        (
            replace(GOOD, plan=replace(planned(offer()), lacks=(MissingPrivileges("vm", ("A.B", "C")),))),
            Check.PRIVILEGES,
            Verdict.ERROR,
        ),
        (replace(GOOD, plan=planned(offer(disks=60 * 5))), Check.APPLIANCE_DISKS, Verdict.ERROR),
        (replace(GOOD, plan=planned(offer(free=100))), Check.SPACE, Verdict.ERROR),
        (replace(GOOD, plan=planned(offer(free=20 * GIB))), Check.SPACE, Verdict.WARNING),
        (replace(GOOD, plan=planned(offer(), networks={"*": "none"})), Check.PORT_GROUPS, Verdict.ERROR),
        (replace(GOOD, plan=planned(offer(), sockets=1)), Check.POWER, Verdict.WARNING),
        (replace(MADE, plan=ReplicaFacts(AWAY, (), ())), Check.REPLICA, Verdict.ERROR),
        (
            replace(MADE, plan=ReplicaFacts(None, (), (Datastore("d", "ds", "VMFS", 9 * GIB, GIB),))),
            Check.SPACE,
            Verdict.WARNING,
        ),
    ],
)
def test_each_check_finds_what_it_is_for(facts: Facts, check: Check, verdict: Verdict) -> None:
    (finding,) = bad(facts)
    assert (finding.check, finding.verdict) == (check, verdict)
    assert finding.hint or verdict is Verdict.WARNING
    assert findings(facts)[0] == finding, "what is wrong comes first"


def test_missing_programs_are_repaired_where_packages_can_be_had() -> None:
    lacking = ApplianceFacts((), ("mkfs.xfs",), ("xfsprogs",), installable=True)
    assert bad(replace(GOOD, appliance=lacking))[0].fix
    assert not bad(replace(GOOD, appliance=replace(lacking, installable=False)))[0].fix


def test_a_source_that_is_not_what_the_replica_was_made_from() -> None:
    """A file system that came is told, and one that went; what was left out on purpose is neither."""
    came = inventory(fs("/"), fs("/data", device="/dev/sda2"), fs("/new", device="/dev/sda3"))
    went = inventory(fs("/"))
    for now, word in ((came, "/new"), (went, "/data")):
        changed = replace(MADE, source=replace(SOURCE, inventory=now, planned_from=INVENTORY))
        (finding,) = bad(changed)
        assert finding.check is Check.SOURCE_CHANGED
        assert word in finding.message
    same = replace(MADE, source=replace(SOURCE, planned_from=INVENTORY))
    assert bad(same) == []
