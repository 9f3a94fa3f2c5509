from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict, ConnectionFailed
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.model.inventory import Firmware
from dtesx.model.job import JobState, Operation, OperationKind, StepState
from dtesx.model.layout import Layout
from dtesx.model.record import JobRecord
from dtesx.model.replication import ReplicationSwitch, TargetStatus
from dtesx.model.specs import ReplicationSpec
from dtesx.model.validation import Check, Finding, Verdict
from dtesx.recovery import failover, health, protect, replication
from dtesx.recovery.operations import allowed, execute, interrupt, new_operation, resume
from tests.unit.recovery.world import INVENTORY, Killed, World, record

K = OperationKind


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    made.patch(monkeypatch)
    return made


def perform(world: World, job: JobRecord, kind: K, **params: str) -> tuple[Operation, JobRecord]:
    allowed(job.state, kind)
    return execute(new_operation(job, kind, params), job, world.surroundings())


def protected(world: World) -> JobRecord:
    operation, job = perform(world, record(), K.PROTECT)
    assert operation.problem is None
    return job


def test_the_whole_road(world: World) -> None:
    job = protected(world)
    assert job.state is JobState.PROTECTED
    assert world.worker
    assert job.mirror is not None
    operation, job = perform(world, job, K.SNAPSHOT, description="before the update")
    assert (job.state, len(world.snapshots), world.worker) == (JobState.PROTECTED, 1, True)
    assert all("-1.vmdk" in disk.path for disk in job.disks)
    operation, job = perform(world, job, K.MIRROR)
    operation, job = perform(world, job, K.FAILOVER, final_mirror="yes")
    assert (job.state, job.address) == (JobState.FAILED_OVER, "10.0.0.2")
    assert operation.result["address"] == "10.0.0.2"
    assert not world.source_up
    operation, job = perform(world, job, K.DELETE, keep_replica="yes")
    assert operation.state is StepState.DONE
    assert world.replica is not None


def test_a_plan_that_cannot_be_carried_out_stops_before_anything_is_made(world: World) -> None:
    world.made_of = replace(INVENTORY, firmware=Firmware.UEFI)
    operation, job = perform(world, record(), K.PROTECT)
    assert operation.problem is not None
    assert (operation.problem.code, job.state) == ("usage", JobState.PROTECT_FAILED)
    assert "no EFI system partition" in operation.problem.message
    assert (job.layout, world.replica) == (None, None)


def test_what_was_set_right_on_the_source_is_seen_when_protection_goes_on(world: World) -> None:
    """What a replica was planned from stays, however the source changes later."""
    world.made_of = replace(INVENTORY, firmware=Firmware.UEFI)
    operation, job = perform(world, record(), K.PROTECT)
    world.made_of = INVENTORY
    operation, job = execute(resume(operation), job, world.surroundings())
    assert (operation.problem, job.inventory) == (None, INVENTORY)
    world.made_of = replace(INVENTORY, hostname="other")
    operation, job = execute(resume(operation), job, world.surroundings())
    assert (operation.problem, job.inventory) == (None, INVENTORY)


def test_a_running_replica_is_never_destroyed(world: World) -> None:
    _, job = perform(world, protected(world), K.FAILOVER)
    operation, job = perform(world, job, K.DELETE, keep_replica="no")
    assert operation.problem is not None
    assert "is running" in operation.problem.message
    assert (job.state, world.replica is not None) == (JobState.DELETE_FAILED, True)


def test_deleting_can_remove_the_replica(world: World) -> None:
    job = protected(world)
    operation, _ = perform(world, job, K.DELETE, keep_replica="no")
    assert operation.state is StepState.DONE
    assert (world.replica, world.attached, world.worker) == (None, set(), False)
    assert world.forgotten == [job.id]


def test_failover_without_the_source(world: World) -> None:
    job = protected(world)
    world.source_up = False
    mirrors = world.mirrors
    operation, job = perform(world, job, K.FAILOVER, final_mirror="yes")
    assert job.state is JobState.FAILED_OVER
    assert world.mirrors == mirrors
    assert "does not answer; the replica is as of" in operation.steps[1].detail


def test_a_failover_without_the_source_says_up_to_when_the_replica_is(world: World) -> None:
    job = protected(world)
    world.source_up = False
    world.last_epoch = Epoch(812, EpochKind.CRASH, 4e9)
    operation, job = perform(world, job, K.FAILOVER, final_mirror="yes")
    assert "as of 2096-10-02 07:06:40 UTC (epoch 812, crash-consistent)" in operation.steps[1].detail


def test_a_failover_takes_what_a_replicating_job_wrote_last(world: World) -> None:
    job = protected(world)
    assert world.replicates
    mirrors = world.mirrors
    operation, job = perform(world, job, K.FAILOVER, final_mirror="yes")
    assert (job.state, world.mirrors) == (JobState.FAILED_OVER, mirrors), "a point is enough"
    assert not world.replicates
    assert world.asked >= 3, "it was asked for until all was there"
    assert operation.steps[1].detail.startswith("epoch 3, crash-consistent")


def test_a_snapshot_has_what_was_written_before_it(world: World) -> None:
    job = protected(world)
    operation, job = perform(world, job, K.SNAPSHOT)
    point = next(step for step in operation.steps if step.name == "point")
    assert point.detail.startswith("epoch 3, crash-consistent")
    assert world.replicates, "it goes on"


@pytest.mark.parametrize("trouble", ["paused", "away", "late"])
def test_a_snapshot_does_not_depend_on_a_recent_point(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    job = protected(world)
    monkeypatch.setattr(replication, "_SOURCE_PATIENCE", 0.0)
    if trouble == "paused":
        world.paused_target = True
    elif trouble == "away":
        world.source_up = False
    else:
        monkeypatch.setattr(replication, "_RECENT_SECONDS", 0.0)
    _, job = perform(world, job, K.SNAPSHOT)
    assert (job.state, len(world.snapshots)) == (JobState.PROTECTED, 1)
    assert (trouble == "late") is (world.asked > 0)


def test_a_replication_that_lost_its_target_does_not_hold_a_failover_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "_SOURCE_PATIENCE", 0.0)
    job = protected(world)
    world.target_status = TargetStatus.AWAY
    operation, job = perform(world, job, K.FAILOVER, final_mirror="yes")
    assert operation.problem is not None
    assert (operation.problem.code, job.state) == ("connection", JobState.FAILOVER_FAILED)
    assert "--no-final-mirror" in operation.problem.hint


def test_a_job_that_only_mirrors(world: World) -> None:
    job = record()
    job = replace(job, spec=replace(job.spec, replication=ReplicationSpec(enabled=False)))
    operation, job = perform(world, job, K.PROTECT)
    assert (job.state, world.replicates) == (JobState.PROTECTED, False)
    assert operation.steps[-1].detail == "left out: the job only mirrors"
    mirrors = world.mirrors
    perform(world, job, K.FAILOVER, final_mirror="yes")
    assert world.mirrors == mirrors + 1


def test_a_failover_of_a_paused_job_mirrors(world: World) -> None:
    job = protected(world)
    world.switch, mirrors = ReplicationSwitch.PAUSED, world.mirrors
    perform(world, job, K.FAILOVER, final_mirror="yes")
    assert world.mirrors == mirrors + 1


def test_a_stopped_replication_goes_on_after_a_mirror(world: World) -> None:
    job = protected(world)
    world.switch, world.replicates = ReplicationSwitch.STOPPED, False
    perform(world, job, K.MIRROR)
    assert (world.switch, world.replicates) == (ReplicationSwitch.ON, True)


@pytest.mark.parametrize("kind", [K.SNAPSHOT, K.FAILOVER])
def test_an_epoch_that_was_cut_off_is_whole_before_the_disks_go(world: World, kind: K) -> None:
    job = protected(world)
    world.in_part = True
    _, job = perform(world, job, kind)
    assert job.state in (JobState.PROTECTED, JobState.FAILED_OVER)
    assert not world.in_part


def test_an_epoch_that_cannot_be_applied_keeps_the_disks_here(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = protected(world)
    monkeypatch.setattr(world, "unsettled", lambda _job: True)
    operation, job = perform(world, job, K.FAILOVER)
    assert operation.problem is not None
    assert "worker.log" in operation.problem.hint
    assert world.attached


def test_a_failover_does_not_wait_for_a_paused_target(world: World) -> None:
    job = protected(world)
    world.paused_target = True
    operation, job = perform(world, job, K.FAILOVER, final_mirror="yes")
    assert operation.problem is not None
    assert (operation.problem.code, job.state) == ("conflict", JobState.FAILOVER_FAILED)
    assert "--no-final-mirror" in operation.problem.hint
    operation, job = perform(world, job, K.FAILOVER, final_mirror="no")
    assert job.state is JobState.FAILED_OVER


def test_a_limit_that_users_set_reaches_the_source_whenever_they_do(world: World) -> None:
    job = protected(world)
    world.limit = 9_000
    world.under_way = [None, None, 7_000, 8_000, 8_000]  # one after the other, from the end
    perform(world, job, K.MIRROR)
    assert world.limits == [9_000, 8_000, 7_000, None]


def test_a_source_that_is_empty_neither_empties_the_replica_nor_keeps_it_from_starting(world: World) -> None:
    job = protected(world)
    world.halted = True
    operation, job = perform(world, job, K.MIRROR)
    assert operation.problem is not None
    assert (operation.problem.code, job.state) == ("root-empty", JobState.MIRROR_FAILED)
    operation, job = perform(world, job, K.FAILOVER, final_mirror="yes")
    assert operation.problem is not None
    assert (operation.problem.code, job.state) == ("root-empty", JobState.FAILOVER_FAILED)
    assert "--no-final-mirror" in operation.problem.hint
    operation, job = perform(world, job, K.MIRROR, rebind="yes")
    assert job.state is JobState.PROTECTED
    world.halted = True
    operation, job = perform(world, job, K.FAILOVER, final_mirror="no")
    assert job.state is JobState.FAILED_OVER


def test_a_source_that_stays_up_stops_the_failover(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "_SHUTDOWN_SECONDS", 0.0)
    job = protected(world)
    world.obeys_shutdown = False
    operation, job = perform(world, job, K.FAILOVER)
    assert job.state is JobState.FAILOVER_FAILED
    assert operation.problem is not None
    assert "power it off by hand" in operation.problem.hint
    world.source_up = False
    operation, job = execute(resume(operation), job, world.surroundings())
    assert job.state is JobState.FAILED_OVER


def test_a_failed_snapshot_puts_the_job_back_to_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = protected(world)

    def refuse(*args: object) -> None:
        raise Conflict("vCenter refuses", hint="look there")

    monkeypatch.setattr(world, "create_snapshot", refuse)
    operation, job = perform(world, job, K.SNAPSHOT)
    assert job.state is JobState.SNAPSHOT_FAILED
    assert operation.problem is not None
    assert operation.problem.message == "vCenter refuses"
    assert world.worker, "replication must go on after a failed snapshot"


def test_a_vcenter_that_goes_away_does_not_stop_the_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = protected(world)

    def away(*args: object) -> None:
        raise ConnectionFailed("vCenter does not answer", hint="look there")

    monkeypatch.setattr(world, "attach_disk", away)
    monkeypatch.setattr(world, "detach_disk", away)
    operation, job = perform(world, job, K.SNAPSHOT)
    assert operation.problem is not None
    assert (operation.problem.code, job.state) == ("connection", JobState.SNAPSHOT_FAILED)
    assert world.worker, "its disks never left"


def test_an_operation_needs_the_right_state() -> None:
    for state, kind in [
        (JobState.CREATED, K.FAILOVER),
        (JobState.PROTECTING, K.DELETE),
        (JobState.FAILED_OVER, K.MIRROR),
        (JobState.MIRROR_FAILED, K.SNAPSHOT),
        (JobState.PROTECTED, K.PROTECT),
    ]:
        with pytest.raises(Conflict) as caught:
            allowed(state, kind)
        assert caught.value.hint


def test_a_defect_is_reported_and_leaves_a_named_state(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "create_replica", lambda *a, **k: 1 / 0)
    operation, job = perform(world, record(), K.PROTECT)
    assert job.state is JobState.PROTECT_FAILED
    assert operation.problem is not None
    assert operation.problem.code == "defect"


def _restart(world: World) -> tuple[Operation, JobRecord]:
    """What a restarted service finds: the last saved job and operation; processes and mounts died."""
    world.mounted = world.worker
    return interrupt(world.operations[-1]), world.jobs[-1]


@pytest.mark.parametrize("how", ["die_at", "fail_at"])
@pytest.mark.parametrize("kind", [K.PROTECT, K.SNAPSHOT, K.MIRROR, K.FAILOVER, K.DELETE])
def test_trouble_at_any_call_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: K, how: str
) -> None:
    point = 0
    while True:
        point += 1
        world = World(tmp_path)
        world.patch(monkeypatch)
        job = record() if kind is K.PROTECT else protected(world)
        operation = new_operation(job, kind, {})
        world.save_job(job)
        world.save_operation(operation)
        struck = world.calls + point
        setattr(world, how, struck)
        try:
            operation, job = execute(operation, job, world.surroundings())
        except (Killed, Conflict):  # a journal that cannot be written ends the process, too
            operation, job = _restart(world)
        if world.calls < struck:
            assert point > len(operation.steps)
            break
        world.die_at = world.fail_at = 0
        if operation.problem is not None:  # else it befell what an operation can do without
            operation, job = execute(resume(operation), job, world.surroundings())
        assert operation.problem is None, (point, operation.problem)
        _check(world, job, kind)


def test_disks_of_a_killed_preparation_are_free_when_the_job_is_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker has ever run that could have left word of them."""

    def killed(_layout: Layout, _devices: list[Path]) -> None:
        world.mounted = True
        raise Killed

    monkeypatch.setattr(protect, "prepare_disks", killed)
    operation = new_operation(record(), K.PROTECT, {})
    world.save_operation(operation)
    with pytest.raises(Killed):
        execute(operation, record(), world.surroundings())
    assert world.attached
    job = replace(world.jobs[-1], state=JobState.PROTECT_FAILED)
    operation, _ = perform(world, job, K.DELETE, keep_replica="no")
    assert operation.problem is None
    assert (world.replica, world.attached, world.mounted) == (None, set(), False)


def _check(world: World, job: JobRecord, kind: K) -> None:
    if kind is K.FAILOVER:
        assert job.state is JobState.FAILED_OVER
        assert world.replica is not None
        assert world.replica.powered_on
    elif kind is K.DELETE:
        assert (world.attached, world.worker, world.mounted) == (set(), False, False)
    else:
        assert job.state is JobState.PROTECTED
        assert world.worker
        assert len(world.snapshots) == (1 if kind is K.SNAPSHOT else 0)


def test_a_failover_that_failed_can_go_back_to_protecting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "_SHUTDOWN_SECONDS", 0.0)
    job = protected(world)
    world.obeys_shutdown = False
    _, job = perform(world, job, K.FAILOVER)
    assert job.state is JobState.FAILOVER_FAILED
    operation, job = perform(world, job, K.MIRROR)
    assert (operation.problem, job.state, world.worker) == (None, JobState.PROTECTED, True)


def test_a_started_replica_is_left_alone_by_a_new_failover(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = protected(world)

    def never(*args: object, **kwargs: object) -> str:
        raise Conflict("no address yet", hint="look at its console")

    with monkeypatch.context() as patch:
        patch.setattr(world, "wait_for_address", never)
        _, job = perform(world, job, K.FAILOVER)
    operation, job = perform(world, job, K.FAILOVER)
    assert (operation.problem, job.state) == (None, JobState.FAILED_OVER)


def test_every_mirror_is_followed_by_a_look_whether_the_replica_would_start(world: World) -> None:
    job = protected(world)
    assert job.health is not None
    assert job.health.verdict is Verdict.PASSED
    world.health = (Finding(Check.BOOT_MENU, Verdict.WARNING, "no menu", "make one"),)
    operation, job = perform(world, job, K.MIRROR)
    assert (operation.problem, job.state) == (None, JobState.PROTECTED)
    assert job.health is not None
    assert (job.health.findings, job.health.verdict) == (world.health, Verdict.WARNING)


def test_a_replica_that_cannot_be_looked_at_is_mirrored_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = protected(world)

    def away(*_: object) -> None:
        raise Conflict("the replica's disks are not mounted now")

    monkeypatch.setattr(health, "mounted_flat", away)
    operation, after = perform(world, job, K.MIRROR)
    assert (operation.problem, after.state) == (None, JobState.PROTECTED)
    assert after.health == job.health
    (step,) = [step for step in operation.steps if step.name == "check"]
    assert step.detail == "not checked: the replica's disks are not mounted now"
