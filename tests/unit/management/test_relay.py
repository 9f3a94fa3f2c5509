from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from dtesx.base.errors import Conflict, NotFound
from dtesx.management.relay import Relay
from dtesx.model.api import TaskInsertion
from dtesx.model.job import JobState
from dtesx.model.record import JobRecord
from dtesx.model.replication import ReplicationSample
from dtesx.model.specs import ReplicationSpec
from dtesx.model.tasks import TaskRequest

from .fakes import SPEC, furnished


@dataclass
class Source:
    """Notes what it is asked."""

    asked: list[str] = field(default_factory=list)

    def insert_task(self, job: str, request: TaskRequest) -> TaskInsertion:
        self.asked.append(f"insert {request.name} {job}")
        return TaskInsertion("t1")

    def task(self, job: str, number: str) -> TaskInsertion:
        self.asked.append(f"task {number} {job}")
        return TaskInsertion(number)

    def replication_history(self, job: str, since: float) -> Sequence[ReplicationSample]:
        self.asked.append(f"history since {since} {job}")
        return ()

    def close(self) -> None:
        self.asked.append("closed")


def test_what_is_asked_about_a_job_goes_to_its_source(tmp_path: Path) -> None:
    store, source = furnished(tmp_path), Source()
    store.save_job(JobRecord("job-1", SPEC, JobState.PROTECTED, 1.0))
    relay = Relay(store, cast(Any, lambda _server: source))
    insertion = relay.insert_task("alpha", TaskRequest("backup"))
    assert relay.task("alpha", insertion.id) == insertion
    assert relay.history("alpha", 7.5) == ()
    assert source.asked[::2] == ["insert backup job-1", "task t1 job-1", "history since 7.5 job-1"]
    assert source.asked[1::2] == ["closed"] * 3


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    store = furnished(tmp_path)
    only_mirrors = replace(SPEC, name="beta", replication=ReplicationSpec(enabled=False))
    store.save_job(JobRecord("job-2", only_mirrors, JobState.PROTECTED, 1.0))
    relay = Relay(store)
    with pytest.raises(NotFound):
        relay.history("gamma", 0.0)
    with pytest.raises(Conflict):
        relay.history("beta", 0.0)
