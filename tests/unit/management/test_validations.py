"""Validations of jobs that are to be, and of jobs that are; repairs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from dtesx.base.errors import NotFound, UntrustedCertificate
from dtesx.management.validations import Validations
from dtesx.management.vmware import Vmware
from dtesx.model.job import JobState
from dtesx.model.record import JobRecord
from dtesx.model.validation import Check, Repairs, Validation, Verdict
from dtesx.model.vmware import VirtualMachine, VmwareServer, owner_note
from dtesx.planning.disks import plan_layout
from dtesx.planning.workload import select
from dtesx.recovery.ports import Surroundings
from dtesx.recovery.transfer import owner_of
from dtesx.volumes import programs
from dtesx.vsphere.client import VSphere
from tests.unit.recovery.world import INVENTORY, REPLICA, World, record

from .fakes import furnished

THUMBPRINT = ":".join(["AB"] * 32)
NOTHING = Repairs()


class Rig:
    """Validations of a world; what is installed is noted, and there afterwards."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World(directory)
        self.store = furnished(directory / "store")
        self.installed: list[tuple[str, ...]] = []
        self.lacking: tuple[str, ...] = ()
        vmware = Vmware(self.store, connect=self.connect)
        self.validations = Validations(
            self.store, self.site, vmware, directory / "jobs", threading.Event(), self.install
        )
        monkeypatch.setattr(programs, "missing", lambda wanted: self.lacking)
        monkeypatch.setattr(programs, "installable", lambda: True)

    @contextmanager
    def site(self, record: JobRecord, cancel: threading.Event) -> Iterator[Surroundings]:
        yield self.world.surroundings()

    @contextmanager
    def connect(self, server: VmwareServer, password: str) -> Iterator[VSphere]:
        if server.thumbprint != THUMBPRINT:
            raise UntrustedCertificate("another certificate", thumbprint=THUMBPRINT)
        self.world.login_error = None
        yield cast(Any, self.world)

    def install(self, packages: tuple[str, ...]) -> None:
        self.installed.append(packages)
        self.lacking = ()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = Rig(tmp_path, monkeypatch)
    yield made
    made.store.close()


def wrong(validation: Validation) -> set[Check]:
    return {f.check for f in validation.findings if f.verdict is not Verdict.PASSED}


def test_validating_changes_nothing(rig: Rig) -> None:
    found = rig.validations.make(record().spec, NOTHING)
    assert (wrong(found), found.fixed) == (set(), ())
    assert (rig.world.replica, rig.world.attached, rig.store.jobs()) == (None, set(), ())


def test_source_and_vsphere_are_judged_apart(rig: Rig) -> None:
    rig.world.source_up = False
    assert wrong(rig.validations.make(record().spec, NOTHING)) == {Check.SOURCE}
    rig.world.login_error = UntrustedCertificate("another", thumbprint=THUMBPRINT)
    assert wrong(rig.validations.make(record().spec, NOTHING)) == {Check.SOURCE, Check.CERTIFICATE}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"clock_ahead": 3600.0}, Check.CLOCK),
        ({"unreachable": "Connection refused"}, Check.WAY_BACK),
        ({"source_version": "0.0.1"}, Check.SOURCE_VERSION),
        ({"read_only": True}, Check.LICENCE),
    ],
)
def test_what_is_asked_reaches_the_checks(rig: Rig, change: dict[str, Any], check: Check) -> None:
    for name, value in change.items():
        setattr(rig.world, name, value)
    assert wrong(rig.validations.make(record().spec, NOTHING)) == {check}


def test_a_name_that_another_vm_has(rig: Rig) -> None:
    rig.world.replica = VirtualMachine("vm-9", "alpha-replica", "u", True, (), annotation="somebody's")
    assert wrong(rig.validations.make(record().spec, NOTHING)) == {Check.REPLICA_NAME}


def test_names_that_other_jobs_have(rig: Rig) -> None:
    spec = record().spec
    rig.store.save_job(replace(record(), id="j0", spec=replace(spec, route="10.9.9.9")))
    assert wrong(rig.validations.make(spec, NOTHING)) == {Check.JOB_NAME}
    other = replace(spec, name="beta", replica=replace(spec.replica, name=spec.replica_name))
    assert wrong(rig.validations.make(other, NOTHING)) == {Check.JOB_NAME}


def protected(rig: Rig) -> JobRecord:
    made = record(JobState.PROTECTED)
    kept = plan_layout(INVENTORY, select(INVENTORY, made.spec.workload), made.spec.replica)
    job = replace(made, inventory=INVENTORY, layout=kept, replica_ref=REPLICA)
    rig.store.save_job(job)
    return job


def test_a_job_that_exists_is_validated_again_and_remembers(rig: Rig) -> None:
    job = protected(rig)
    with pytest.raises(NotFound, match="not validated yet"):
        rig.validations.last("alpha")
    found = rig.validations.of("alpha", NOTHING)
    assert wrong(found) == {Check.REPLICA}  # somebody removed the VM
    assert rig.validations.last("alpha") == found
    rig.world.replica = VirtualMachine(
        REPLICA, "alpha-replica", "u", False, (), annotation=owner_note(owner_of(job))
    )
    assert wrong(rig.validations.make(job.spec, NOTHING)) == set()
    assert wrong(rig.validations.last("alpha")) == set()


def test_missing_programs_are_installed_when_asked(rig: Rig) -> None:
    rig.lacking = ("mkfs.ext4",)
    assert wrong(rig.validations.make(record().spec, NOTHING)) == {Check.TOOLS}
    assert wrong(
        rig.validations.make(record().spec, Repairs((Check.CERTIFICATE,), thumbprint=THUMBPRINT))
    ) == {Check.TOOLS}
    assert rig.installed == []
    found = rig.validations.make(record().spec, Repairs((Check.TOOLS,)))
    assert rig.installed == [("e2fsprogs",)]
    assert (wrong(found), len(found.fixed)) == (set(), 1)


def test_a_certificate_is_trusted_by_its_thumbprint_only(rig: Rig) -> None:
    rig.world.login_error = UntrustedCertificate("another", thumbprint=THUMBPRINT)
    spec = replace(record().spec, vmware="vc")
    found = rig.validations.make(spec, Repairs(all=True))
    assert (wrong(found), found.fixed) == ({Check.CERTIFICATE}, ())
    with pytest.raises(UntrustedCertificate):
        rig.validations.make(spec, Repairs(all=True, thumbprint="CD" * 32))
    assert rig.store.vmware("vc").server.thumbprint == ""
    found = rig.validations.make(spec, Repairs(all=True, thumbprint=THUMBPRINT.lower()))
    assert (wrong(found), len(found.fixed)) == (set(), 1)
    assert rig.store.vmware("vc").server.thumbprint == THUMBPRINT
