"""Reads ``job.yaml``."""

from __future__ import annotations

from pathlib import Path

from dtesx.cli import yaml_file
from dtesx.model.job import JobSpec

_HINT = "the fields are explained by: dtesx job schema"


def load(path: Path) -> JobSpec:
    """Read a job file (``-``: standard input). UsageError names file, line and field."""
    return yaml_file.load(path, JobSpec, "a job", hint=_HINT)


def parse(text: str, name: str) -> JobSpec:
    """Turn the text of a job file into a JobSpec; ``name`` is the file's, for messages."""
    return yaml_file.parse(text, name, JobSpec, "a job", hint=_HINT)
