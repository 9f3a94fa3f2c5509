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
from dtesx.model.epoch import EpochKind
from dtesx.model.location import TargetUrl
from dtesx.model.replication import PointRequest
from dtesx.model.request import MirrorRequest, ReplicationRequest
from dtesx.model.specs import ReplicationSpec
from dtesx.model.tasks import Task, TaskRequest
from tests.integration.replication.edges.conftest import file_system
from tests.integration.services.process import service
from tests.integration.services.test_source import APPLIANCE, client_of, finished, target

pytestmark = pytest.mark.integration

SECONDS = 60


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be frozen."""
    where = tmp_path / "tree"
    where.mkdir()
    with file_system("ext4", tmp_path / "tree.img", where):
        (where / "etc").mkdir()
        (where / "etc" / "hostname").write_text("alpha\n")
        (where / "state").write_text("busy")
        yield where


@pytest.fixture
def client(state: Path, tree: Path, tmp_path: Path) -> Iterator[SourceClient]:
    """Its hooks ``state`` say in a file of the tree whether applications are busy."""
    quiesce, release = (f"[sh, -c, 'printf {word} > {tree}/state']" for word in ("quiet", "busy"))
    hooks = tmp_path / "hooks.yaml"
    hooks.write_text(f"hooks:\n  state:\n    quiesce: {quiesce}\n    release: {release}\n")
    options = ("--hooks", str(hooks))
    with service("source", state, 0, *options) as running, closing(client_of(running, state)) as client:
        yield client


@pytest.fixture
def request_(client: SourceClient, tree: Path, tmp_path: Path) -> Iterator[ReplicationRequest]:
    """For a target that serves ``job-1`` alone, into ``replica``."""
    replica = tmp_path / "replica"
    replica.mkdir()
    tasks = {"copy": Task(("sh", "-c", f"cat {replica}/state; cp {replica}/state {tmp_path}/copied"))}
    with target(client.certificate, tree, replica, job="job-1", tasks=tasks) as port:
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


def test_a_task_after_an_epoch_that_hooks_prepared(
    client: SourceClient, request_: ReplicationRequest, tree: Path, tmp_path: Path
) -> None:
    spec = replace(request_.replication, hooks="state")
    client.start_replication(replace(request_, replication=spec))
    assert wait_until(lambda: client.replication("job-1").report.epoch is not None, timeout=SECONDS)
    inserted = client.insert_task("job-1", TaskRequest("copy", consistent=True, wait=SECONDS))
    assert wait_until(lambda: client.task("job-1", inserted.id).over, timeout=SECONDS)
    report = client.task("job-1", inserted.id).report
    assert report is not None
    assert (report.result.well, report.result.epoch.kind) == (True, EpochKind.APPLICATION)
    assert (tmp_path / "copied").read_text() == report.result.output == "quiet"
    assert wait_until(lambda: (tree / "state").read_text() == "busy", timeout=SECONDS)
    assert wait_until(lambda: client.replication_history("job-1", 0.0) != (), timeout=SECONDS)
    assert client.replication_history("job-1", 2.0**40) == ()
    assert client.replication("job-1").report.unquiesced == ""


def test_hooks_that_the_source_does_not_have(client: SourceClient, request_: ReplicationRequest) -> None:
    spec = replace(request_.replication, hooks="other", consistent_every=0.1)
    client.start_replication(replace(request_, replication=spec))
    assert wait_until(
        lambda: "hooks named other" in client.replication("job-1").report.unquiesced, timeout=SECONDS
    )


def test_a_task_of_a_job_that_does_not_replicate(client: SourceClient) -> None:
    with pytest.raises(NotFound):
        client.insert_task("job-7", TaskRequest("copy"))
    with pytest.raises(NotFound):
        client.task("job-7", "t1")
