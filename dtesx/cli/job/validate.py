"""``dtesx job validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.base.errors import ExitCode, UsageError
from dtesx.cli import ask, jobfile, output, session
from dtesx.cli.job.plan import File, Name
from dtesx.cli.params import Json, Thumbprint
from dtesx.model.validation import REPAIRABLE, Check, Finding, Repairs, Validation, Verdict

Fix = Annotated[
    list[Check] | None,
    typer.Option(
        "--fix",
        metavar="CHECK",
        help=f"Repair what this check finds ({' or '.join(REPAIRABLE)}); may be repeated.",
    ),
]
FixAll = Annotated[bool, typer.Option("--fix-all", help="Repair all that can be repaired.")]
Last = Annotated[bool, typer.Option("--last", help="Show what the last validation of the job found.")]

_STYLES = {Verdict.ERROR: "red", Verdict.WARNING: "yellow", Verdict.PASSED: "green"}


def validate_job(
    job: Name = "",
    file: File = None,
    fix: Fix = None,
    fix_all: FixAll = False,
    trust_thumbprint: Thumbprint = "",
    last: Last = False,
    json: Json = False,
) -> None:
    """Check whether a job can be carried out, or is still in order.

    Source, vSphere and the appliance are asked now. Each check has an id and passes, warns, or tells an
    error with what to do (exit code 1). Nothing is changed, unless a repair is asked for: then it is made,
    and all is checked again. A certificate is repaired only with --trust-thumbprint.
    """
    jobfile.check_choice(job, file, "validate")
    if last and not job:
        raise UsageError("--last is of a job that exists", hint="dtesx job validate NAME --last")
    repairs = _repairs(fix or [], fix_all, trust_thumbprint)
    found = _found(job, file, repairs, last=last)
    if json:
        output.document(found)
    else:
        print_validation(found)
    if found.errors:
        raise typer.Exit(ExitCode.PROBLEMS)


def print_validation(validation: Validation) -> None:
    """Print a validation for people."""
    for sentence in validation.fixed:
        output.line(f"repaired: {sentence}", style="bold")
    width = max((len(finding.check.value) for finding in validation.findings), default=0) + 2
    for finding in validation.findings:
        output.line(
            f"{finding.verdict.value:8}{finding.check.value:{width}}{finding.message}",
            style=_STYLES[finding.verdict],
        )
        for line in _what_to_do(finding):
            output.line(f"{'':{8 + width}}{line}")
    counts = {verdict: sum(f.verdict is verdict for f in validation.findings) for verdict in Verdict}
    output.line("")
    output.line(
        f"{counts[Verdict.ERROR]} errors, {counts[Verdict.WARNING]} warnings, {counts[Verdict.PASSED]} passed"
    )


def _repairs(fix: list[Check], fix_all: bool, thumbprint: str) -> Repairs:
    """A thumbprint is given only to have the certificate trusted."""
    trusted = (Check.CERTIFICATE,) if thumbprint else ()
    checks = tuple(dict.fromkeys((*fix, *trusted)))
    try:
        return Repairs(checks, fix_all, ask.as_vsphere(thumbprint))
    except ValueError as error:
        hint = "each finding says what to do; --trust-thumbprint THUMBPRINT trusts a certificate"
        raise UsageError(str(error), hint=hint) from error


def _found(job: str, file: Path | None, repairs: Repairs, *, last: bool) -> Validation:
    api = session.appliance()
    if file is not None:
        return api.validate(jobfile.load(file), repairs)
    return api.last_validation(job) if last else api.validate_job(job, repairs)


def _what_to_do(finding: Finding) -> list[str]:
    lines = [finding.hint] if finding.hint else []
    if finding.fix:
        lines.append(f"--fix {finding.check.value} {finding.fix}")
    return lines
