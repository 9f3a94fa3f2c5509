"""The replications of a state directory: where each keeps what it tells, and calls to those that run."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import ConnectionFailed, DtesxError, ExitCode, NotFound, UsageError
from dtesx.base.files import private_directory
from dtesx.management import history, local_calls
from dtesx.model.location import SCHEME, TargetUrl, parse_target
from dtesx.model.replication import Point, PointRequest, ReplicationReport, ReplicationSample
from dtesx.model.tasks import TaskReport, TaskRequest
from dtesx.replication.continuous.reporting import ended

POINT, STATUS, TASK = "point", "status", "task"
"""The calls that a replication answers."""

REPORT = "status.json"
"""The file of its directory that holds its last report."""

_DIRECTORY = "replications"
_ANSWER = 10.0


class NotConnected(ConnectionFailed):
    """A replication has no connection to its target."""

    code = "not-connected"


class NotReached(DtesxError):
    """A replication did not come so far in the time it was given."""

    code = "not-reached"
    exit_code = ExitCode.FAILED
    recoverable = True


def directory_for(state: Path, url: TargetUrl) -> Path:
    """Where the replication to ``url`` keeps what it tells; it is made if missing."""
    return private_directory(private_directory(state / _DIRECTORY) / f"{url.name}@{url.endpoint}")


def forget(state: Path, name: str) -> None:
    """Remove what replications to places of this name left; none of them runs any more."""
    for path in (state / _DIRECTORY).glob("*@*"):
        if path.name.rpartition("@")[0] == name:
            shutil.rmtree(path, ignore_errors=True)


def find(state: Path, which: str) -> Path:
    """The directory of the replication to ``which``, a NAME or a whole URL.

    Without it the only one, or else the only one that runs. Raises NotFound, and UsageError when it
    might be several.
    """
    known = sorted(path for path in (state / _DIRECTORY).glob("*@*") if (path / REPORT).exists())
    if not known:
        raise NotFound(
            f"there is no replication in {state}", hint="give the --state of `dtesx replicate`, if it has one"
        )
    found = [path for path in known if not which or _is(path, which)]
    if len(found) > 1:
        found = [path for path in found if _runs(path)] or found
    if len(found) == 1:
        return found[0]
    names = ", ".join(_url(path) for path in known)
    if not found:
        raise NotFound(f"there is no replication to {which} in {state}", hint=f"there are: {names}")
    raise UsageError("there are several replications", hint=f"say which one with --to: {names}")


def status(directory: Path) -> ReplicationReport:
    """What the replication tells of itself, or told last. Raises ConnectionFailed when it is stuck."""
    with suppress(local_calls.NotRunning):
        return local_calls.call(directory, STATUS, None, ReplicationReport, timeout=_ANSWER)
    last = msgspec.json.decode((directory / REPORT).read_bytes(), type=described(ReplicationReport))
    return ended(last, time.time())


def point(directory: Path, request: PointRequest) -> Point:
    """Make a recovery point; returns when it is applied on the target.

    Raises NotRunning, and NotConnected or NotReached when the time is over.
    """
    return local_calls.call(directory, POINT, request, Point, timeout=request.wait + _ANSWER)


def task(directory: Path, request: TaskRequest) -> TaskReport:
    """Have a task run on the target when all that is written by now is applied there; returns its end.

    Raises NotRunning, and NotConnected or NotReached when the time is over.
    """
    return local_calls.call(directory, TASK, request, TaskReport, timeout=request.wait + _ANSWER)


def samples(directory: Path, since: float) -> list[ReplicationSample]:
    """Its history from the Unix time ``since`` on."""
    return history.read(directory, since)


def _is(directory: Path, which: str) -> bool:
    if not which.startswith(f"{SCHEME}:"):
        return directory.name.partition("@")[0] == which
    try:
        url = parse_target(which)
    except ValueError as error:
        raise UsageError(str(error), hint="write dtesx://HOST:PORT/NAME") from error
    return directory.name == f"{url.name}@{url.endpoint}"


def _url(directory: Path) -> str:
    name, _, endpoint = directory.name.rpartition("@")
    return f"{SCHEME}://{endpoint}/{name}"


def _runs(directory: Path) -> bool:
    with suppress(local_calls.NotRunning):
        local_calls.call(directory, STATUS, None, ReplicationReport, timeout=_ANSWER)
        return True
    return False
