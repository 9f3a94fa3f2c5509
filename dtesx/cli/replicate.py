"""``dtesx replicate``."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from dtesx.base.errors import UsageError
from dtesx.base.files import replace_volatile
from dtesx.cli import one_shot, output, teach
from dtesx.cli.formats import seconds, size
from dtesx.cli.mirror_options import Rebind, TimedLinkChoice
from dtesx.cli.one_shot import ClientState, Credentials, Selection, Source
from dtesx.model.hooks import Hooks
from dtesx.model.mirror import MirrorOptions, OrphanAction, OrphanPolicy
from dtesx.model.replication import Remirror, ReplicationOptions, ReplicationPhase, ReplicationStatus
from dtesx.model.specs import MIN_EPOCH

_LINE_SECONDS = 10.0

Urls = Annotated[
    list[str],
    typer.Argument(
        metavar="URL...", help="dtesx://HOST:PORT/NAME: a place on a target (port 1500), or several places."
    ),
]
TokenFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="The target's token; needed once for each target. One for each URL, in their order.",
    ),
]
EpochSeconds = Annotated[
    float, typer.Option("--epoch", metavar="SECONDS", help="Seconds from one epoch to the next.")
]
ConsistentEvery = Annotated[
    float,
    typer.Option(metavar="SECONDS", help="Seconds from one crash-consistent epoch to the next; 0: none."),
]
FreezeBudget = Annotated[
    float,
    typer.Option(metavar="SECONDS", help="Freeze the file systems of SRC no longer than this for each."),
]
RemirrorBy = Annotated[
    Remirror,
    typer.Option(
        "--remirror",
        help="When more changed than the queue can tell apart: wait for dtesx replication mirror, or send"
        " files whose size or time differs, or whose data do.",
    ),
]
MirrorRatio = Annotated[
    float,
    typer.Option(
        "--mirror-ratio",
        metavar="RATIO",
        min=0.01,
        help="Seconds for changes to one for the mirror, while both have something to send.",
    ),
]
IgnoreDeletes = Annotated[
    bool,
    typer.Option("--ignore-deletes", help="The replica keeps what is deleted or renamed on the source."),
]
Quiesce = Annotated[
    str, typer.Option(metavar="CMD", help="Prepares the applications for a consistent epoch.")
]
Release = Annotated[str, typer.Option(metavar="CMD", help="Lets them go on, whatever CMD above came to.")]
HookTimeout = Annotated[
    float, typer.Option(metavar="SECONDS", help="End a CMD that takes longer; it has failed then.")
]
StatusFile = Annotated[
    Path | None,
    typer.Option("--status", metavar="FILE", help="Keep the status in FILE, as JSON, about once a second."),
]


@dataclass(frozen=True)
class Epochs:
    """The options about what travels when."""

    epoch: EpochSeconds = 2.0
    consistent_every: ConsistentEvery = 15.0
    freeze_budget: FreezeBudget = 0.2
    remirror: RemirrorBy = Remirror.ATTRIBUTES
    mirror_ratio: MirrorRatio = 5.0

    def options(self) -> ReplicationOptions:
        """What they stand for; raises UsageError."""
        if self.epoch < MIN_EPOCH:
            raise UsageError(f"--epoch: at least {MIN_EPOCH} seconds")
        if self.consistent_every < 0 or self.freeze_budget <= 0:
            raise UsageError("--consistent-every: 0 or more seconds; --freeze-budget: more than 0")
        return ReplicationOptions(
            self.epoch, self.consistent_every, self.freeze_budget, self.remirror, self.mirror_ratio
        )


@dataclass(frozen=True)
class ApplicationChoice:
    """The options about the applications of SRC."""

    quiesce: Quiesce = ""
    release: Release = ""
    hook_timeout: HookTimeout = 10.0

    def hooks(self) -> Hooks | None:
        """What they stand for; None: nothing prepares them. Raises UsageError."""
        if self.hook_timeout <= 0 or (self.release and not self.quiesce):
            raise UsageError("--release comes with --quiesce; --hook-timeout: more than 0")
        prepares, lets_go = _argv("--quiesce", self.quiesce), _argv("--release", self.release)
        return Hooks(prepares, lets_go, self.hook_timeout) if prepares else None


def replicate(
    source: Source,
    urls: Urls,
    *,
    selection: Selection,
    epochs: Epochs,
    ignore_deletes: IgnoreDeletes = False,
    applications: ApplicationChoice,
    link: TimedLinkChoice,
    rebind: Rebind = False,
    status: StatusFile = None,
    token_files: TokenFiles = None,
    state: ClientState = None,
) -> None:
    """Mirror SRC to a target, then send what changes there.

    Changes travel in epochs. The target applies an epoch whole or not at all, whatever happens to it
    or to SRC. Most epochs are fuzzy: files in them may be of slightly different moments. Now and then one
    is crash-consistent: of one moment, for which the file systems of SRC are frozen. With --quiesce
    it is application-consistent.

    With several URLs the tree is watched once and sent to each place by itself: none waits for another.

    A lost target is waited for, however long; then it gets what changed meanwhile. What the kernel
    here tells about changes, and what it does not: dtesx capture probe. While it runs: dtesx status,
    dtesx point, dtesx replication.
    """
    from dtesx.services.fan_out import Branch, replicate_to
    from dtesx.services.waiting import stopped_by_signals
    from dtesx.volumes.freezing import thaw_left

    thaw_left()  # first of all: what is written to that never ends
    options, hooks, how = epochs.options(), applications.hooks(), link.options()
    _check_count(urls, status, hooks)
    mirror = _mirror_options(selection, ignore_deletes=ignore_deletes)
    branches = []
    for url, token in zip(urls, _tokens(token_files, len(urls)), strict=True):
        way = Credentials(token, state).way(source, url, mirror, tls=link.tls, rebind=rebind)
        branches.append(Branch(url, way, _Teller(status, url if len(urls) > 1 else "")))
    replicate_to(
        tuple(branches),
        state or one_shot.default_state(),
        options=options,
        link=how,
        stop=stopped_by_signals(),
        hooks=hooks,
    )
    output.line("stopped; the same command goes on with what differs")


def _check_count(urls: Sequence[str], status: Path | None, hooks: Hooks | None) -> None:
    if len(urls) > 1 and (status or hooks):
        raise UsageError(
            "--status and --quiesce: for one URL alone", hint="look at each with: dtesx status --to NAME"
        )


def _mirror_options(selection: Selection, *, ignore_deletes: bool) -> MirrorOptions:
    action = OrphanAction.KEEP if ignore_deletes else OrphanAction.DELETE
    return MirrorOptions(rules=selection.chosen(), orphans=OrphanPolicy(action))


def _tokens(files: list[Path] | None, count: int) -> Sequence[Path | None]:
    if files and len(files) != count:
        raise UsageError("--token-file: one for each URL, or none", hint="give them in the order of the URLs")
    return files or [None] * count


def _argv(option: str, command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint="quote it as for a shell") from error


class _Teller:
    """Keeps the status file, and says where the replication stands at every change and now and then."""

    def __init__(self, file: Path | None, name: str) -> None:
        self._file = file
        self._prefix = f"{name}: " if name else ""
        self._phase: tuple[ReplicationPhase, str] | None = None
        self._next = 0.0

    def __call__(self, status: ReplicationStatus) -> None:
        if self._file is not None:
            replace_volatile(self._file, msgspec.json.encode(status))
        now = time.monotonic()
        if (status.phase, status.problem) != self._phase or now >= self._next:
            self._phase, self._next = (status.phase, status.problem), now + _LINE_SECONDS
            output.line(f"{self._prefix}{describe(status, time.time())}")


def describe(status: ReplicationStatus, now: float) -> str:
    """A replication's state in one line; ``now`` is Unix seconds."""
    if status.phase is ReplicationPhase.CONNECTING:
        return f"connecting: {status.problem}" if status.problem else "connecting"
    sent = f"{status.stats.files_sent} files, {size(status.stats.bytes_sent)} sent"
    if status.phase is ReplicationPhase.MIRRORING:
        return f"mirroring: {sent}"
    if status.phase is ReplicationPhase.UNMIRRORED:
        return "more changed than the queue could tell apart; mirror with: dtesx replication mirror"
    if status.epoch is None:
        return f"mirrored: {sent}"
    behind = seconds(max(0.0, now - status.current))
    held = "" if status.phase is ReplicationPhase.REPLICATING else f"{status.phase}; "
    return f"{held}epoch {status.epoch.number}: the target is {behind} behind; {sent}"


app = teach.command(
    "replicate",
    replicate,
    "dtesx replicate /srv/www dtesx://10.1.0.2:1500/www --token-file token",
    "dtesx replicate /srv/www dtesx://10.1.0.2/www --epoch 5 --status /run/www.json",
    "dtesx replicate /srv/www dtesx://10.1.0.2/www dtesx://10.2.0.2/www",
)
