"""``dtesx verify``."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtesx.base.errors import ExitCode, Interrupted
from dtesx.cli import one_shot, output
from dtesx.cli.formats import seconds, size
from dtesx.cli.one_shot import ClientState, Exclude, Include, RemapLinks, RulesFile, Source, TargetToken, Url
from dtesx.cli.params import Json
from dtesx.model.mirror import Compare, MirrorOptions
from dtesx.model.verify import Finding, VerifyLogOptions, VerifyReport, VerifyStats

if TYPE_CHECKING:
    from dtesx.replication.verify_log import VerifyLog

_KEPT = 1000

Data = Annotated[bool, typer.Option("--data", help="Compare the content of all files, too.")]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE",
        help="Log to FILE, with the set's name put before the file's. [default: none]",
    ),
]
LogLength = Annotated[
    int, typer.Option("--log-length", metavar="BYTES", min=1, help="Longest log; nothing is added beyond.")
]
Append = Annotated[
    bool, typer.Option("--append/--no-append", help="Add to an existing log, or start it anew.")
]


def verify(
    source: Source,
    url: Url,
    data: Data = False,
    log: Log = None,
    log_length: LogLength = 1 << 20,
    append: Append = True,
    rules: RulesFile = None,
    include: Include = None,
    exclude: Exclude = None,
    remap_links: RemapLinks = False,
    token_file: TargetToken = None,
    state: ClientState = None,
    json: Json = False,
) -> int:
    """Compare SRC with its copy on a target, and change nothing.

    Every name that is missing on the target, different, or only there (an orphan) is printed, or
    written to the log when there is one. Files that are in use may differ for that reason alone.

    Exit code 1 says that the two are not the same.
    """
    from dtesx.replication.one_shot import open_tree
    from dtesx.replication.verifying import run_verify

    options = MirrorOptions(
        _compare(data=data), rules=one_shot.rules(rules, include, exclude), remap_links=remap_links
    )
    way = one_shot.way(source, url, token_file, state, options)
    with ExitStack() as stack:
        writer = _log(stack, log, way.request.job, log_length, append=append)
        findings = _Findings(writer, silent=json)
        if writer is not None:
            writer.begin(source=source, target=url, data=data, remirror=False)
        stop = threading.Event()
        try:
            stats = run_verify(
                way.request,
                way.identity,
                report=findings.add,
                progress=lambda _stats: None,
                stop=stop,
                opener=open_tree,
                options=way.options,
            )
        except KeyboardInterrupt:
            raise Interrupted("the verification was stopped", hint="run it again: it starts anew") from None
        if writer is not None:
            writer.end(stats)
    report = VerifyReport(stats, tuple(findings.kept), str(writer.path) if writer is not None else "")
    if json:
        output.document(report)
    else:
        _print(report)
    return ExitCode.OK if stats.in_step else ExitCode.PROBLEMS


def _compare(*, data: bool) -> Compare:
    return Compare.DATA if data else Compare.ATTRIBUTES


class _Findings:
    def __init__(self, log: VerifyLog | None, *, silent: bool) -> None:
        self._log = log
        self._silent = silent
        self.kept: list[Finding] = []

    def add(self, finding: Finding) -> None:
        from dtesx.replication.verify_log import describe

        if len(self.kept) < _KEPT:
            self.kept.append(finding)
        if self._log is not None:
            self._log.finding(finding)
        elif not self._silent:
            typer.echo(describe(finding))


def _log(stack: ExitStack, path: Path | None, name: str, length: int, *, append: bool) -> VerifyLog | None:
    from dtesx.replication.verify_log import VerifyLog

    if path is None:
        return None
    return stack.enter_context(VerifyLog(VerifyLogOptions(str(path), length, append), name))


def _print(report: VerifyReport) -> None:
    stats = report.totals
    for problem in stats.problems:
        output.line(f"not verified: {problem.path}: {problem.reason}")
    output.line(summary(stats), style="" if stats.in_step else "bold red")
    if report.log:
        output.line(f"log: {report.log}")


def summary(stats: VerifyStats) -> str:
    """The totals in one line."""
    text = (
        f"{stats.names_total} names verified: {stats.same} same, {stats.missing} missing,"
        f" {stats.different} different; {stats.orphans} orphans ({size(stats.orphan_bytes)})"
    )
    if stats.problems_total:
        text += f"; {stats.problems_total} not verified"
    return f"{text}; {size(stats.bytes_different)} to be sent; {seconds(stats.seconds)}"
