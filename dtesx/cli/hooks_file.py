"""Reads the file of ``--hooks``: the commands that jobs may have a source run (docs/job.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dtesx.cli import yaml_file
from dtesx.model.hooks import Hooks, HooksFile


def load(path: Path) -> Mapping[str, Hooks]:
    """Read a file of hooks; UsageError names file, line and field."""
    file = yaml_file.load(path, HooksFile, "a file of hooks", hint="docs/job.md explains the fields")
    return {name: spec.hooks() for name, spec in file.hooks.items()}
