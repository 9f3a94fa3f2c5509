"""One tree replicated to one or several targets, with one capture: parts put together."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import DtesxError
from dtesx.base.log import get_logger
from dtesx.management import controls, replications
from dtesx.management.desk import Desk
from dtesx.model.hooks import Hooks
from dtesx.model.location import parse_target
from dtesx.model.mirror import LinkOptions
from dtesx.model.queue import QueueLimits
from dtesx.model.replication import ReplicationOptions, ReplicationStatus
from dtesx.replication.continuous.following import Follower
from dtesx.replication.continuous.quiescing import QUIESCED, Applications
from dtesx.replication.continuous.replicating import Assignment, Replication
from dtesx.replication.continuous.sharing import Reader, Shared
from dtesx.replication.control import MirrorControl
from dtesx.replication.one_shot import Way, open_tree

log = get_logger(__name__)

_JOIN = 1.0

Teller = Callable[[ReplicationStatus], None]


@dataclass(frozen=True)
class Branch:
    """The way to one target, whose URL is ``url``; ``tell`` gets where the replication stands."""

    url: str
    way: Way
    tell: Teller


def replicate_to(
    branches: tuple[Branch, ...],
    state: Path,
    *,
    options: ReplicationOptions,
    link: LinkOptions,
    stop: threading.Event,
    hooks: Hooks | None = None,
) -> None:
    """Replicate one tree to all of the targets until ``stop`` is set, or all were stopped by command.

    Each has a thread, a queue and connections of its own, so that none waits for another. One that
    fails ends alone. ``hooks`` prepare applications for consistent epochs. Raises what Follower and Desk
    raise, and at the end what one failed with.
    """
    roots = branches[0].way.request.roots
    failed: list[DtesxError] = []
    with ExitStack() as stack:
        follower = stack.enter_context(Follower(roots, open_tree, ignored=(os.getpid(),)))
        shared = Shared(follower, roots, len(branches), (link.ahead or QueueLimits()).memory // 2)
        runs = {
            branch.url: stack.enter_context(
                _prepared(
                    *(branch, reader, follower, state),
                    options=options,
                    link=link,
                    stop=stop,
                    hooks=hooks,
                )
            )
            for branch, reader in zip(branches, shared.readers, strict=True)
        }
        _run_all(runs, failed)
    if failed:
        raise failed[0]


@contextmanager
def _prepared(
    branch: Branch,
    reader: Reader,
    follower: Follower,
    state: Path,
    *,
    options: ReplicationOptions,
    link: LinkOptions,
    stop: threading.Event,
    hooks: Hooks | None,
) -> Iterator[Callable[[], None]]:
    way, control = branch.way, MirrorControl()
    directory = replications.directory_for(state, parse_target(branch.url))
    with ExitStack() as stack:
        stack.callback(reader.close)
        desk = stack.enter_context(
            Desk(directory, way.request.roots[0], branch.url, follower.status, branch.tell)
        )
        assignment = Assignment(
            way.request,
            way.identity,
            mirror=way.options,
            options=options,
            link=link,
            opener=open_tree,
            catalogue=way.catalogue,
            applications=Applications(hooks, directory / QUIESCED) if hooks is not None else None,
        )
        replication = Replication(assignment, reader, status=desk.note, stop=stop, control=control)

        def run() -> None:
            orders = controls.answers(control, replication.request_mirror)
            with stack, desk.answering(replication, orders):
                replication.run()

        yield run


def _run_all(runs: Mapping[str, Callable[[], None]], failed: list[DtesxError]) -> None:
    """Run each in a thread of its own, and wait for all of them."""

    def guarded(url: str, run: Callable[[], None]) -> None:
        try:
            run()
        except DtesxError as error:
            log.error("a replication ended", target=url, reason=error.message)
            failed.append(error)

    threads = [
        threading.Thread(target=guarded, args=(url, run), name=f"replication-{url}")
        for url, run in runs.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():  # not for ever at once, so that signals are seen
            thread.join(_JOIN)
