"""Reads ``job.yaml``."""

from __future__ import annotations

from pathlib import Path

from dtesx.base.errors import UsageError
from dtesx.cli import yaml_file
from dtesx.model.job import JobSpec

_HINT = "the fields are explained by: dtesx job schema"
_REFUSED = {
    "test_failover": "dtesx makes no test failovers yet",
    "monitor": "dtesx does not watch sources yet; a failover begins with: dtesx failover",
    "failover.wait_for_user": "a failover always waits for a user, as nothing else begins one yet",
    "failover.after": "dtesx runs nothing on the replica; a unit of the source's own can do that there",
    "mirror.orphans": "a replica has what its source has: files that only it has are always deleted",
}


def load(path: Path) -> JobSpec:
    """Read a job file (``-``: standard input). UsageError names file, line and field."""
    return yaml_file.load(path, JobSpec, "a job", hint=_HINT, refused=_REFUSED)


def parse(text: str, name: str) -> JobSpec:
    """Turn the text of a job file into a JobSpec; ``name`` is the file's, for messages."""
    return yaml_file.parse(text, name, JobSpec, "a job", hint=_HINT, refused=_REFUSED)


def check_choice(job: str, file: Path | None, command: str) -> None:
    """Raise UsageError unless either a job or a file is named."""
    if bool(job) == (file is not None):
        raise UsageError(
            "name a job, or a job file", hint=f"dtesx job {command} -f FILE, or dtesx job {command} NAME"
        )
