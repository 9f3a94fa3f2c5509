from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict, Interrupted, NotFound
from dtesx.management.jobs import Jobs
from dtesx.management.replica_watch import ReplicaWatch
from dtesx.management.store import Store
from dtesx.management.tending import Tending
from dtesx.management.vmware import Vmware
from dtesx.model.api import FailoverRequest, JobInfo, NewSnapshot
from dtesx.model.job import JobSpec, JobState, OperationKind, StepState
from dtesx.model.replica import ReplicaSpec
from dtesx.model.stats import MirrorStats
from dtesx.model.target import WorkerPhase, WorkerStatus
from dtesx.model.vmware import Snapshot
from tests.unit.management.fakes import SPEC, FakeExecutor, FakeSite, FakeWorkers, furnished


@dataclass
class Service:
    """One life of the management service over a store."""

    store: Store
    executor: FakeExecutor
    site: FakeSite
    workers: FakeWorkers
    jobs: Jobs

    def ended(self, state: JobState) -> JobInfo:
        return self.until(lambda info: info.state is state and not _open(info))

    def until(self, good: Callable[[JobInfo], bool]) -> JobInfo:
        deadline = time.monotonic() + 5
        while not good(self.jobs.info("alpha")):
            assert time.monotonic() < deadline, self.jobs.info("alpha")
            time.sleep(0.005)
        return self.jobs.info("alpha")


def _open(info: JobInfo) -> bool:
    return info.operation is not None and info.operation.state in (StepState.PENDING, StepState.RUNNING)


def life(store: Store) -> Service:
    executor, workers = FakeExecutor(), FakeWorkers()
    site = FakeSite(store, workers)
    cancel = threading.Event()
    tending = Tending(store, workers, site, cancel)
    watch = ReplicaWatch(store, Vmware(store), cancel)
    jobs = Jobs(store, executor, workers, site, tending, watch, cancel)
    return Service(store, executor, site, workers, jobs)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = life(furnished(tmp_path))
    yield made
    made.executor.go.set()
    assert made.jobs.close(5)


@pytest.fixture
def protected(service: Service) -> Service:
    service.executor.go.set()
    service.jobs.create(SPEC)
    service.ended(JobState.PROTECTED)
    return service


def test_create_protects(service: Service) -> None:
    assert service.jobs.create(SPEC).state is JobState.PROTECTING
    service.executor.go.set()
    info = service.ended(JobState.PROTECTED)
    assert info.operation is not None
    assert info.operation.kind is OperationKind.PROTECT
    assert info.replica is not None
    assert info.replica.name == "alpha-replica"
    assert service.jobs.states() == {"alpha": "protected"}


def test_the_same_command_while_it_runs_is_the_same_operation(service: Service) -> None:
    service.jobs.create(SPEC)
    service.jobs.create(SPEC)
    service.executor.go.set()
    service.ended(JobState.PROTECTED)
    service.jobs.create(SPEC)
    assert len(service.executor.executed) == 1


def test_another_job_of_the_same_name(protected: Service) -> None:
    with pytest.raises(Conflict) as caught:
        protected.jobs.create(replace(SPEC, replica=ReplicaSpec("other")))
    assert caught.value.hint


@pytest.mark.parametrize("spec", [replace(SPEC, source="nobody"), replace(SPEC, vmware="nobody")])
def test_what_the_job_names_must_be_known(service: Service, spec: JobSpec) -> None:
    with pytest.raises(NotFound, match="nobody"):
        service.jobs.create(spec)
    assert service.jobs.all() == ()


def test_a_failed_operation_is_resumed_by_the_same_command(service: Service) -> None:
    service.executor.fail = True
    service.executor.go.set()
    service.jobs.create(SPEC)
    info = service.ended(JobState.PROTECT_FAILED)
    assert info.problem is not None
    assert info.problem.hint == "start it"
    first = service.executor.executed[0]
    service.executor.fail = False
    service.jobs.create(SPEC)
    assert service.ended(JobState.PROTECTED).problem is None
    assert service.executor.executed == [first, first]
    assert service.executor.resumed == [first]


def test_other_parameters_make_another_operation(protected: Service) -> None:
    protected.executor.fail = True
    protected.jobs.failover("alpha", FailoverRequest(final_mirror=True))
    protected.ended(JobState.FAILOVER_FAILED)
    protected.executor.fail = False
    operation = protected.jobs.failover("alpha", FailoverRequest(final_mirror=False))
    assert operation.params == {"final_mirror": "no"}
    protected.ended(JobState.FAILED_OVER)
    assert protected.executor.resumed == []
    with pytest.raises(Conflict):
        protected.jobs.mirror("alpha")


def test_a_halted_protection_goes_on_with_rebind(service: Service) -> None:
    service.executor.fail = True
    service.executor.go.set()
    service.jobs.create(SPEC)
    first = service.ended(JobState.PROTECT_FAILED).operation
    assert first is not None
    assert first.params == {"rebind": "no"}
    service.executor.fail = False
    service.jobs.create(SPEC, rebind=True)
    again = service.ended(JobState.PROTECTED).operation
    assert again is not None
    assert (again.id, again.params) == (first.id, {"rebind": "yes"})


def test_a_mirror_may_rebind(protected: Service) -> None:
    assert protected.jobs.mirror("alpha").params == {"rebind": "no"}
    protected.ended(JobState.PROTECTED)
    assert protected.jobs.mirror("alpha", rebind=True).params == {"rebind": "yes"}


def test_one_operation_at_a_time(protected: Service) -> None:
    protected.executor.go.clear()
    running = protected.jobs.take_snapshot("alpha", NewSnapshot("before the update"))
    assert protected.jobs.take_snapshot("alpha", NewSnapshot("before the update")).id == running.id
    with pytest.raises(Conflict, match="busy: snapshot"):
        protected.jobs.mirror("alpha")
    with pytest.raises(Conflict, match="busy: snapshot"):
        protected.jobs.delete("alpha", keep_replica=True)
    protected.executor.go.set()
    protected.ended(JobState.PROTECTED)


def test_the_next_command_may_follow_at_once(protected: Service) -> None:
    for _ in range(20):
        identity = protected.jobs.mirror("alpha").id
        while protected.store.operation(identity).state is not StepState.DONE:
            time.sleep(0.001)
    assert len(set(protected.executor.executed)) == 21


def test_delete_forgets_the_job_and_its_name_is_free(protected: Service) -> None:
    operation = protected.jobs.delete("alpha", keep_replica=False)
    assert operation.params == {"keep_replica": "no"}
    deadline = time.monotonic() + 5
    while protected.jobs.all():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert protected.store.operation(operation.id).state is StepState.DONE
    protected.jobs.create(SPEC)
    protected.ended(JobState.PROTECTED)


def test_a_job_that_is_being_deleted_is_not_made_again(protected: Service) -> None:
    protected.executor.go.clear()
    protected.jobs.delete("alpha", keep_replica=True)
    with pytest.raises(Conflict, match="being deleted"):
        protected.jobs.create(SPEC)
    protected.executor.fail = True
    protected.executor.go.set()
    protected.ended(JobState.DELETE_FAILED)
    with pytest.raises(Conflict, match="being deleted"):
        protected.jobs.create(SPEC)


def test_killed_service_leaves_an_interrupted_operation_that_resumes(tmp_path: Path) -> None:
    store = furnished(tmp_path)
    first = life(store)
    first.executor.die = True
    first.jobs.create(SPEC)
    identity = first.until(
        lambda i: i.operation is not None and i.operation.state is StepState.RUNNING
    ).operation
    first.executor.go.set()  # the thread ends without a word, as in a killed process
    assert first.jobs.close(5)
    assert first.jobs.info("alpha").state is JobState.PROTECTING

    second = life(Store(tmp_path))
    second.jobs.recover()
    info = second.jobs.info("alpha")
    assert info.state is JobState.PROTECT_FAILED
    assert info.problem is not None
    assert info.problem.code == "interrupted"
    assert info.problem.hint
    second.executor.go.set()
    second.jobs.create(SPEC)
    second.ended(JobState.PROTECTED)
    assert identity is not None
    assert second.executor.executed == [identity.id]


def test_killed_between_the_job_and_its_operation(protected: Service) -> None:
    record = protected.store.job("alpha")
    operation = protected.store.last_operation(record.id)
    assert operation is not None
    protected.store.begin(replace(record, state=JobState.PROTECTING), operation)
    protected.jobs.recover()
    assert protected.jobs.info("alpha").state is JobState.PROTECTED


def test_a_stopping_service_interrupts_and_starts_nothing(service: Service) -> None:
    service.jobs.create(SPEC)
    assert service.jobs.close(5)
    info = service.jobs.info("alpha")
    assert info.state is JobState.PROTECT_FAILED
    assert info.operation is not None
    assert info.operation.state is StepState.INTERRUPTED
    with pytest.raises(Interrupted):
        service.jobs.create(SPEC)


def test_missing_surroundings_fail_the_operation(service: Service) -> None:
    service.site.error = NotFound("the server is gone", hint="add it")
    service.jobs.create(SPEC)
    info = service.ended(JobState.PROTECT_FAILED)
    assert info.problem is not None
    assert info.problem.message == "the server is gone"


def test_live_figures_while_a_mirror_runs(protected: Service) -> None:
    stats = MirrorStats(files_total=10, files_sent=3)
    protected.workers.report = WorkerStatus(WorkerPhase.RECEIVING, 1, stats=stats)
    assert protected.jobs.info("alpha").mirror is None
    protected.executor.go.clear()
    protected.jobs.mirror("alpha")
    assert protected.jobs.info("alpha").mirror == stats
    protected.executor.go.set()


def test_recovery_points_are_listed_oldest_first(protected: Service) -> None:
    protected.site.snapshots = (
        Snapshot("snapshot-2", "second", "", 20.0, True),
        Snapshot("snapshot-1", "first", "why", 10.0, False),
    )
    points = protected.jobs.snapshots("alpha")
    assert [(p.name, p.description, p.kind) for p in points] == [
        ("first", "why", "fuzzy"),
        ("second", "", "fuzzy"),
    ]
