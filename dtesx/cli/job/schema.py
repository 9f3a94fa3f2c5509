"""``dtesx job schema``."""

from __future__ import annotations

from dtesx.cli import output


def print_schema() -> None:
    """Print the JSON schema of the job file, for editors."""
    from dtesx.management.schema import job_schema

    output.document(job_schema())
