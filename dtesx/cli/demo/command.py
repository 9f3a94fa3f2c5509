"""``dtesx demo``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from dtesx.cli import output, steps, teach
from dtesx.cli.formats import seconds
from dtesx.cli.lab import places
from dtesx.cli.params import Json

if TYPE_CHECKING:
    from dtesx.cli.demo.report import DemoReport
    from dtesx.cli.demo.scenario import Demo

Keep = Annotated[bool, typer.Option("--keep", help="Leave the lab up afterwards, to look around in it.")]


def run_demo(keep: Keep = False, json: Json = False) -> None:
    """Protect, lose and recover a server in the lab, and check it.

    Brings a lab up on this machine (as root), protects the Debian server alpha to its vCenter,
    takes a recovery point, changes alpha, mirrors again, crashes alpha, starts its replica, logs in
    to it and compares it with alpha file by file. Shows the time of every step and the RTO. Takes
    everything down at the end, also after Ctrl-C or a failure, unless --keep is given.

    The first run builds a Debian tree and the vSphere simulator, which takes some minutes; both are
    cached. Exit code 0 means that every check passed, 1 that one did not.
    """
    from dtesx.cli.demo import lab
    from dtesx.cli.demo.play import play
    from dtesx.cli.demo.runner import Runner
    from dtesx.cli.demo.scenario import Demo

    runner = Runner("dtesx demo", steps.view(as_json=json))
    demo = Demo(lab.Places(places.lab(), places.cache()), runner.say, lab.bring_up)
    report, problem = play(runner, demo, keep=keep)
    if json:
        output.document(report)
    else:
        _print(report)
        if keep and demo.scenario is not None:
            _print_kept(demo)
    if problem is not None and not json:
        raise problem
    if problem is not None:
        raise typer.Exit(problem.exit_code)


def _print(report: DemoReport) -> None:
    replica = report.replica
    output.line("")
    output.pairs(
        [
            ("replica", f"{replica.hostname} at {replica.address}" if replica.booted else ""),
            ("ledger", replica.last_ledger_line),
            ("files", _files(report)),
            ("RTO", f"{seconds(report.rto_seconds)} from the loss to a login" if report.rto_seconds else ""),
            ("in all", seconds(report.seconds)),
        ]
    )
    for path, reason in replica.changed_on_purpose.items():
        output.line(f"  changed on purpose: {path} ({reason})", style="dim")
    for path in replica.different:
        output.line(f"  DIFFERENT: {path}", style="red")
    if report.ok:
        output.line("Every check passed.", style="bold green")


def _files(report: DemoReport) -> str:
    replica = report.replica
    if not replica.files_compared:
        return ""
    return (
        f"{replica.files_compared} compared by checksum, {replica.files_different} different;"
        f" {replica.entries_compared} entries by metadata, {replica.entries_different} different"
    )


def _print_kept(demo: Demo) -> None:
    output.line("")
    output.line("The lab is still up. To look around:", style="bold")
    config = shlex.quote(str(demo.places.demo))
    output.line(f"  DTESX_CONFIG={config} dtesx job show alpha")
    if demo.scenario is not None:
        output.line(f"  {shlex.join(demo.scenario.login_command)}")
    output.line("  dtesx lab status")
    output.line("  dtesx lab down      # ends it")


app = teach.command("demo", run_demo, "dtesx demo", "dtesx demo --keep", "dtesx demo --json > demo.json")
