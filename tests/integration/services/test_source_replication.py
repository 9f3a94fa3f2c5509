"""A job's replication through the source service, to a real receiver."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.errors import NotFound
from dtesx.base.retry import wait_until
from dtesx.management import replications
from dtesx.management.source_client import SourceClient
from dtesx.model.location import TargetUrl
from dtesx.model.replication import PointRequest
from dtesx.model.request import MirrorRequest, ReplicationRequest
from dtesx.model.specs import ReplicationSpec
from tests.integration.services.process import service
from tests.integration.services.test_source import APPLIANCE, client_of, finished, target, tree

pytestmark = pytest.mark.integration

__all__ = ["tree"]

SECONDS = 60


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def client(state: Path) -> Iterator[SourceClient]:
    with service("source", state) as running, closing(client_of(running, state)) as client:
        yield client


@pytest.fixture
def request_(client: SourceClient, tree: Path, tmp_path: Path) -> Iterator[ReplicationRequest]:
    """For a target that serves ``job-1`` alone, into ``replica``."""
    replica = tmp_path / "replica"
    replica.mkdir()
    with target(client.certificate, tree, replica, job="job-1") as port:
        mirror = MirrorRequest("job-1", "127.0.0.1", port, APPLIANCE.certificate, (str(tree),))
        yield ReplicationRequest(mirror, ReplicationSpec(epoch=0.2))


def holds(replica: Path, name: str, text: str) -> bool:
    def same() -> bool:
        return (replica / name).is_file() and (replica / name).read_text() == text

    return wait_until(same, timeout=SECONDS)


def test_it_replicates_until_a_mirror_takes_its_place(
    client: SourceClient, request_: ReplicationRequest, tree: Path, tmp_path: Path, state: Path
) -> None:
    replica = tmp_path / "replica"
    with pytest.raises(NotFound):
        client.replication("job-1")
    client.start_replication(request_)
    assert wait_until(lambda: client.replication("job-1").report.epoch is not None, timeout=SECONDS)
    (tree / "etc" / "hostname").write_text("alpha, later\n")
    assert holds(replica, "etc/hostname", "alpha, later\n")
    os.rename(tree / "etc", tree / "settings")
    assert holds(replica, "settings/hostname", "alpha, later\n")
    assert client.start_replication(request_).report.started == client.replication("job-1").report.started

    # Commands on the source find it, too.
    url = TargetUrl("127.0.0.1", request_.mirror.port, "job-1")
    (tree / "now").write_text("now\n")
    point = replications.point(replications.directory_for(state, url), PointRequest(wait=SECONDS))
    assert point.failed == 0
    assert (replica / "now").read_text() == "now\n"

    client.start_mirror(request_.mirror)
    assert finished(client, "job-1").problem is None
    assert not client.replication("job-1").report.running
    (tree / "now").write_text("later\n")
    client.start_replication(request_)
    assert holds(replica, "now", "later\n")
    client.stop_replication("job-1")
    assert not client.replication("job-1").report.running


def test_a_job_that_is_no_more_is_not_let_in(client: SourceClient, request_: ReplicationRequest) -> None:
    old = replace(request_, mirror=replace(request_.mirror, job="job-0"))
    client.start_replication(old)
    assert wait_until(lambda: client.replication("job-0").problem is not None, timeout=SECONDS)
    problem = client.replication("job-0").problem
    assert problem is not None
    assert (problem.code, "another job's" in problem.message) == ("refused", True)
