"""``dtesx status``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli import output, teach
from dtesx.cli.formats import epoch_line, moment, seconds, size
from dtesx.cli.params import Json
from dtesx.cli.replication_options import State, To, directory
from dtesx.model.replication import FreezeStats, MirrorState, ReplicationReport, TargetDataState, TargetStatus

if TYPE_CHECKING:
    from rich.text import Text

Watch = Annotated[bool, typer.Option("--watch", help="Show it again every second, until Ctrl-C.")]

_DATA = {
    TargetDataState.OK: "whole: what the source was at the last epoch",
    TargetDataState.MIRRORING: "not whole yet: the first mirror is under way",
    TargetDataState.MIRROR_REQUIRED: "not whole: no mirror was completed",
}


def status(to: To = "", watch: Watch = False, state: State = None, json: Json = False) -> None:
    """Show where a replication on this machine stands.

    When it does not run, what it said last is shown, and that it does not run.
    """
    from dtesx.management import replications

    place = directory(state, to)
    if watch and json:
        raise UsageError("--watch is for people, --json for programs: give one of them")
    if json:
        output.document(replications.status(place))
    elif watch:
        _watch(place)
    else:
        output.pairs(screen(replications.status(place), time.time()))


def screen(told: ReplicationReport, now: float) -> list[tuple[str, str]]:
    """A replication for people, as names and values; ``now`` is Unix seconds."""
    behind = "" if told.recovery_point_latency is None else f"{seconds(told.recovery_point_latency)} behind"
    epoch = told.epoch
    return [
        ("source", told.source),
        ("target", f"{told.target} ({_target(told, now)})"),
        ("replication", told.replication_status if told.running else f"stopped since {moment(told.at)}"),
        ("problem", told.problem if told.running else ""),
        ("mirror", told.mirror_status if told.mirror_status is not MirrorState.IDLE else ""),
        ("replica", _DATA[told.target_data_state]),
        ("last epoch", epoch_line(epoch) if epoch else ""),
        ("consistent", epoch_line(told.consistent) if told.consistent else ""),
        ("fuzzy because", told.fuzzy),
        ("not quiesced", told.unquiesced),
        ("frozen for", _frozen(told.freezes)),
        ("recovery point", behind),
        ("transmission", told.transmit_mode if told.running else ""),
        ("queue", _queue(told.queue_bytes, told.queue_operations)),
        ("disk queue", _queue(told.disk_queue_bytes, told.disk_queue_operations)),
        ("changed names", str(told.changed_names or "")),
        ("sent", _sent(told)),
        ("last file", told.last_file_touched),
        ("failed paths", f"{told.failed_paths}; tried again" if told.failed_paths else ""),
        ("capture", f"rung {told.capture_rung}, {told.events_per_second:g} events/s"),
        ("overflows", str(told.overflows or "")),
    ]


def _target(told: ReplicationReport, now: float) -> str:
    if not told.running:
        return "not connected"
    if told.target_status is TargetStatus.AWAY:
        return "no connection"
    since = seconds(max(0.0, now - told.connected_since))
    state = "" if told.target_status is TargetStatus.OK else f"{told.target_status}, "
    return f"{state}connected for {since}"


def _frozen(freezes: FreezeStats) -> str:
    if not freezes.times:
        return ""
    last, p99, most = (f"{1000 * value:.0f} ms" for value in (freezes.last, freezes.p99, freezes.most))
    return f"{last} the last time; 99 of 100 times {p99} or less, at most {most}"


def _sent(told: ReplicationReport) -> str:
    travelled = size(told.sent_compressed_bytes)
    return f"{told.sent_files} files, {size(told.sent_bytes)} ({travelled} on the wire)"


def _queue(count: int, operations: int) -> str:
    return f"{size(count)}, {operations} operations" if count or operations else ""


def _watch(place: Path) -> None:
    from rich.live import Live
    from rich.text import Text

    from dtesx.management import replications

    def drawn() -> Text:
        rows = [(name, value) for name, value in screen(replications.status(place), time.time()) if value]
        return Text("\n".join(f"{name:<15} {value}" for name, value in rows))

    with Live(drawn(), console=output.console(), auto_refresh=False) as live:
        while True:
            time.sleep(1.0)
            live.update(drawn(), refresh=True)


app = teach.command("status", status, "dtesx status", "dtesx status --to www --json", "dtesx status --watch")
