from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dtesx.base.errors import ConnectionFailed, NotFound, Refused
from dtesx.management.client import Appliance
from dtesx.management.records import KnownVmware
from dtesx.management.store import Store
from dtesx.model.api import NewServer, NewVmware
from dtesx.model.job import JobSpec, JobState, Operation, OperationKind, StepState
from dtesx.model.record import JobRecord
from dtesx.model.replica import ReplicaSpec
from dtesx.model.vmware import VmwareServer
from dtesx.recovery.operations import new_operation
from tests.integration.services.process import Service, service

pytestmark = pytest.mark.integration

SPEC = JobSpec("alpha", source="alpha", vmware="vc", replica=ReplicaSpec(datastore="ds1"))


@contextmanager
def client_of(running: Service, state: Path) -> Iterator[Appliance]:
    token = (state / "admin-token").read_text().strip()
    certificate = (state / "identity.crt").read_text()
    with closing(Appliance(f"https://127.0.0.1:{running.port}", certificate, token)) as client:
        yield client


def test_the_two_services_find_each_other(tmp_path: Path) -> None:
    state, source_state = tmp_path / "appliance", tmp_path / "source"
    with (
        service("appliance", state) as running,
        service("source", source_state) as source,
        client_of(running, state) as client,
    ):
        assert client.status().service == "appliance"
        token = (source_state / "token").read_text().strip()
        info = client.add_server(NewServer("alpha", "127.0.0.1", token, source.port))
        assert client.inventory("alpha").inventory.hostname == info.hostname
        source.end()
        with pytest.raises(ConnectionFailed) as away:
            client.inventory("alpha")
        assert "source service runs" in away.value.hint
        assert running.end() == 0
    with service("appliance", state) as running, client_of(running, state) as client:
        assert client.servers() == (info,)


def test_vcenter_is_down(tmp_path: Path) -> None:
    state = tmp_path / "appliance"
    with service("appliance", state) as running, client_of(running, state) as client:
        with pytest.raises(ConnectionFailed) as caught:
            client.add_vmware(
                NewVmware("vc", "127.0.0.1", "root", "secret", port=1, thumbprint=":".join(["AA"] * 32))
            )
        assert caught.value.hint
        assert client.vmware() == ()
    assert "secret" not in running.log.read_text()


def test_files_are_private(tmp_path: Path) -> None:
    state = tmp_path / "appliance"
    with service("appliance", state):
        loose = {p.name for p in state.iterdir() if p.stat().st_mode & 0o077}
    assert loose == {"identity.crt"}
    assert state.stat().st_mode & 0o077 == 0


def test_what_a_killed_service_left_is_interrupted(tmp_path: Path) -> None:
    state = tmp_path / "appliance"
    with service("appliance", state) as running:
        running.end(signal.SIGKILL)
    operation = left_running(state)
    with service("appliance", state) as running, client_of(running, state) as client:
        info = client.job("alpha")
        assert info.state is JobState.PROTECT_FAILED
        assert info.operation is not None
        assert info.operation.id == operation.id
        assert info.operation.state is StepState.INTERRUPTED
        assert info.problem is not None
        assert info.problem.hint
        # The same command again goes on with it; its source is unknown here, so it says so.
        resumed = client.create_job(SPEC)
        assert resumed.operation is not None
        assert resumed.operation.id == operation.id


def test_killed_in_the_middle_of_a_step_and_resumed(tmp_path: Path) -> None:
    state, source_state = tmp_path / "appliance", tmp_path / "source"
    store = Store(state)
    store.add_vmware(
        KnownVmware(VmwareServer("vc", "127.0.0.1", "root", 1, "AA"), "appliance", "uuid", "secret")
    )
    store.close()
    with service("source", source_state) as source:
        with service("appliance", state) as running, client_of(running, state) as client:
            token = (source_state / "token").read_text().strip()
            client.add_server(NewServer("alpha", "127.0.0.1", token, source.port))
            source.process.send_signal(signal.SIGSTOP)  # it hangs while the inventory is taken
            made = client.create_job(SPEC).operation
            assert made is not None
            until(client, lambda o: o.steps[0].state is StepState.RUNNING)
            running.end(signal.SIGKILL)
        source.process.send_signal(signal.SIGCONT)
        with service("appliance", state) as running, client_of(running, state) as client:
            stopped = until(client, lambda o: o.state is StepState.INTERRUPTED)
            assert stopped.id == made.id
            assert stopped.steps[0].state is StepState.INTERRUPTED
            assert client.job("alpha").state is JobState.PROTECT_FAILED
            client.create_job(SPEC)
            resumed = until(client, lambda o: o.steps[0].state is StepState.DONE)
            assert resumed.id == made.id
            assert client.job("alpha").inventory is not None
            # There is no vCenter here, so it ends with an error that says so, or before at the plan.
            failed = until(client, lambda o: o.state is StepState.FAILED)
            assert failed.problem is not None
            assert failed.problem.hint


def until(client: Appliance, good: Callable[[Operation], bool]) -> Operation:
    deadline = time.monotonic() + 30
    while True:
        operation = client.job("alpha").operation
        if operation is not None and good(operation):
            return operation
        assert time.monotonic() < deadline, operation
        time.sleep(0.05)


def left_running(state: Path) -> Operation:
    """Write what the journal holds while an operation runs."""
    store = Store(state)
    record = JobRecord("job-1", SPEC, JobState.PROTECTING, 1.0)
    pending = new_operation(record, OperationKind.PROTECT, {})
    operation = Operation(
        pending.id, record.id, pending.kind, StepState.RUNNING, pending.steps, pending.started
    )
    store.begin(record, operation)
    store.close()
    return operation


def test_the_token_stays_and_strangers_are_refused(tmp_path: Path) -> None:
    state = tmp_path / "appliance"
    with service("appliance", state):
        token = (state / "admin-token").read_text()
    with service("appliance", state) as running, client_of(running, state) as client:
        assert (state / "admin-token").read_text() == token
        with pytest.raises(NotFound):
            client.job("nobody")
        stranger = Appliance(
            f"https://127.0.0.1:{running.port}", (state / "identity.crt").read_text(), "guess"
        )
        with closing(stranger), pytest.raises(Refused):
            stranger.status()
