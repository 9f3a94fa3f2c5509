"""``dtesx verify``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtesx.base.errors import ExitCode, Interrupted, UsageError
from dtesx.cli import failures, mirror, one_shot, output, teach
from dtesx.cli.formats import seconds, size
from dtesx.cli.mirror_options import LinkChoice, NewerOnly
from dtesx.cli.one_shot import Credentials, RemapLinks, Selection, Source, Url
from dtesx.cli.params import Json
from dtesx.cli.repeating import repeat, times
from dtesx.model.mirror import Compare, LinkOptions, MirrorOptions, OrphanAction, OrphanPolicy
from dtesx.model.stats import MirrorStats
from dtesx.model.verify import Finding, VerifyLogOptions, VerifyReport, VerifyStats

if TYPE_CHECKING:
    from dtesx.replication.one_shot import Way
    from dtesx.replication.verify_log import VerifyLog

_KEPT = 1000

Data = Annotated[bool, typer.Option("--data", help="Compare the content of all files, too.")]
Remirror = Annotated[bool, typer.Option("--remirror", help="Mirror afterwards what is missing or different.")]
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

Every = Annotated[
    str,
    typer.Option("--every", metavar="AGE", help="Verify again and again, say 1d. [default: once]"),
]
Start = Annotated[
    str, typer.Option("--start", metavar="TIME", help='With --every: when first, say "2026-11-21 02:00".')
]


@dataclass(frozen=True)
class LogChoice:
    """The options about the log."""

    log: Log = None
    log_length: LogLength = 1 << 20
    append: Append = True

    def options(self) -> VerifyLogOptions | None:
        """What they stand for; None: there is to be no log."""
        return VerifyLogOptions(str(self.log), self.log_length, self.append) if self.log is not None else None


@dataclass(frozen=True)
class When:
    """The options that say when."""

    every: Every = ""
    start: Start = ""

    def times(self) -> tuple[datetime, timedelta] | None:
        """What they stand for (cli.repeating); None: now."""
        return times(self.every, self.start)


def verify(
    source: Source,
    url: Url,
    *,
    data: Data = False,
    remirror: Remirror = False,
    newer_only: NewerOnly = False,
    log: LogChoice,
    when: When,
    selection: Selection,
    remap_links: RemapLinks = False,
    link: LinkChoice,
    credentials: Credentials,
    json: Json = False,
) -> int:
    """Compare SRC with its copy on a target.

    Every name that is missing on the target, different, or only there (an orphan) is printed, or
    written to the log when there is one. Files that are in use may differ for that reason alone.

    With --remirror, what is missing or different is mirrored afterwards; orphans stay.

    With --every it stays and verifies at those times until it is ended, whatever comes of each.

    Exit code 1 says that the two are not the same, or, with --remirror, that some paths could not be
    mirrored.
    """
    if newer_only and not remirror:
        raise UsageError("--newer-only is about what is mirrored", hint="give --remirror, too")
    plan, kept = when.times(), log.options()
    compare = Compare.DATA if data else Compare.ATTRIBUTES
    keep = OrphanPolicy(OrphanAction.KEEP)
    options, how = MirrorOptions(compare, selection.chosen(), newer_only, keep, remap_links), link.options()
    way = credentials.way(source, url, options, tls=link.tls)

    def once() -> int:
        return _once(way, how, url, kept, remirror=remirror, json=json)

    if plan is not None:
        repeat(
            once,
            *plan,
            waiting=lambda due: None if json else output.line(f"next verification: {due:%Y-%m-%d %H:%M:%S}"),
            failed=lambda error: failures.show(error, as_json=json),
        )
    return once()


def _once(
    way: Way, link: LinkOptions, url: str, kept: VerifyLogOptions | None, *, remirror: bool, json: bool
) -> int:
    stats, findings, log_path = _verify(way, link, url, kept, remirror=remirror, silent=json)
    mirrored = _remirror(way, link, silent=json) if remirror and (stats.missing or stats.different) else None
    report = VerifyReport(stats, tuple(findings), log_path, mirrored)
    if json:
        output.document(report)
    else:
        _print(report)
    good = not (mirrored or stats).problems_total if remirror else stats.in_step
    return ExitCode.OK if good else ExitCode.PROBLEMS


def _verify(
    way: Way, link: LinkOptions, url: str, log: VerifyLogOptions | None, *, remirror: bool, silent: bool
) -> tuple[VerifyStats, list[Finding], str]:
    """The totals, the first findings, and the path of the log if there is one."""
    from dtesx.replication.verify_log import VerifyLog

    stopped = Interrupted("the verification was stopped", hint="run it again: it starts anew")
    if log is None:
        findings = _Findings(None, silent=silent)
        return one_shot.verify(way, link, findings.add, stopped), findings.kept, ""
    with VerifyLog(log, way.request.job) as writer:
        findings = _Findings(writer, silent=silent)
        data = way.options.compare is Compare.DATA
        writer.begin(source=way.request.mount_points[0], target=url, data=data, remirror=remirror)
        stats = one_shot.verify(way, link, findings.add, stopped)
        writer.end(stats)
    return stats, findings.kept, str(writer.path)


def _remirror(way: Way, link: LinkOptions, *, silent: bool) -> MirrorStats:
    stopped = Interrupted("the remirror was stopped", hint="`dtesx mirror` goes on with it")
    return mirror.run(way, link=link, as_json=silent, stopped=stopped)


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


def _print(report: VerifyReport) -> None:
    stats = report.totals
    for problem in stats.problems:
        output.line(f"not verified: {problem.path}: {problem.reason}")
    output.line(summary(stats), style="" if stats.in_step else "bold red")
    if report.remirror is not None:
        mirror.show(report.remirror)
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


app = teach.command(
    "verify",
    verify,
    "dtesx verify /srv/www dtesx://10.1.0.2:1500/www",
    "dtesx verify /srv/www dtesx://10.1.0.2/www --data --remirror --log /var/log/dtesx-verify.log",
    'dtesx verify /srv/www dtesx://10.1.0.2/www --every 1d --start "2026-11-21 02:00" --log /var/log/www.log',
)
