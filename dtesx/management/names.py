"""Names that users give to servers and VMware servers; they travel in URLs and file names."""

from __future__ import annotations

import re

from dtesx.base.errors import UsageError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def checked_name(name: str) -> str:
    """Return ``name`` if it is a good one; UsageError otherwise (the rule is that of job names)."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"name: {name!r} is not a name dtesx can use",
            hint="use 1-63 lower-case letters, digits and hyphens, not a hyphen first or last",
        )
    return name


def checked_port(port: int) -> int:
    """Return ``port`` if it is a TCP port; UsageError otherwise."""
    if not 1 <= port <= 65535:
        raise UsageError(f"port: {port} is not a TCP port", hint="use a number between 1 and 65535")
    return port
