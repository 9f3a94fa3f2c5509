"""What a run of the demo found, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtesx.base.errors import DtesxError, ExitCode
from dtesx.model.job import Problem


class CheckFailed(DtesxError):
    """The replica runs, but something about it is not as it should be."""

    code = "check-failed"
    exit_code = ExitCode.PROBLEMS


@dataclass(frozen=True)
class StepReport:
    """One step: how long it took in seconds, and whether all that it checks was right."""

    name: str
    seconds: float
    ok: bool
    title: str = ""
    detail: str = ""


@dataclass(frozen=True)
class ReplicaReport:
    """The replica as it was found.

    ``files_different`` counts files whose content differs and should not, ``entries_different``
    entries (files, directories, links, devices) whose type, mode, owner, times, link target or
    extended attributes do; ``different`` names the first of either.

    ``changed_on_purpose`` names the files that a replica changes to start on new hardware and
    those that a running server writes, each with the reason; they are compared, not counted.
    """

    booted: bool = False
    hostname: str = ""
    address: str = ""
    files_compared: int = 0
    files_different: int = 0
    entries_compared: int = 0
    entries_different: int = 0
    last_ledger_line: str = ""
    ledger_lines: int = 0
    different: tuple[str, ...] = ()
    changed_on_purpose: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DemoReport:
    """The whole run. ``rto_seconds``: from the loss of the server to a login on its replica."""

    ok: bool
    steps: tuple[StepReport, ...]
    replica: ReplicaReport
    rto_seconds: float = 0.0
    seconds: float = 0.0
    error: Problem | None = None
