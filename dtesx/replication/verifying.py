"""The source's side of a verification, and of removing orphans: trees against what their target has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from dtesx.base.errors import Interrupted
from dtesx.mirror.orphan_removal import OrphanRemoval
from dtesx.mirror.selection import Scope, select
from dtesx.mirror.tally import Tally
from dtesx.mirror.verifying import Report, Totals, TreeVerify
from dtesx.model.mirror import Compare, LinkOptions, MirrorOptions
from dtesx.model.request import MirrorRequest
from dtesx.model.stats import MirrorStats
from dtesx.model.verify import VerifyStats
from dtesx.replication.guarding import Guard
from dtesx.replication.remapping import LinkRemap
from dtesx.replication.sending import DEFAULT_LINK, OWN_STATE, RECONNECT, ViewOpener, job_options, route
from dtesx.replication.source_session import SourceSession
from dtesx.volumes.views import open_view
from dtesx.wire.identity import Identity
from dtesx.wire.limiter import Limiter

_PROGRESS = 0.2


def run_verify(
    request: MirrorRequest,
    identity: Identity,
    *,
    report: Report,
    progress: Callable[[VerifyStats], None],
    stop: threading.Event,
    opener: ViewOpener = open_view,
    options: MirrorOptions | None = None,
    link: LinkOptions = DEFAULT_LINK,
) -> VerifyStats:
    """Compare the request's mount points with its target, change nothing, and return the totals.

    With Compare.DATA the contents are compared, too, and differing blocks counted. ``link`` is how
    the two are joined; it has no plan, as nothing waits.
    ``report`` gets every name that is not the same, ``progress`` the totals about five times a
    second, both from this thread. Not to be run while the same root is mirrored: a target talks to
    one stream of a source at a time.

    Raises Interrupted soon after ``stop`` is set, NotFound when the target has no such replica,
    Refused, ConnectionFailed, and whatever ``opener`` raises.
    """
    options = options or job_options(request.mirror)
    data = options.compare is Compare.DATA
    totals = Totals()
    next_report = 0.0

    def tick() -> None:
        nonlocal next_report
        _check(stop, "verification")
        if (now := time.monotonic()) >= next_report:
            next_report = now + _PROGRESS
            progress(totals.stats())

    scope = partial(_scope, options)
    with _session(request, identity, link, Tally(), tick) as (session, roots):
        remap = LinkRemap(roots, session.target.replicas, scope) if options.remap_links else None
        for index, mount_point in enumerate(roots):
            with opener(mount_point) as root:
                TreeVerify(
                    root,
                    session.listing(index, sums=data),
                    totals,
                    report=report,
                    asker=session.asker(index) if data else None,
                    scope=scope(mount_point),
                    remap=remap,
                    pause=tick,
                ).run()
    return totals.stats()


def remove_orphans(
    request: MirrorRequest,
    identity: Identity,
    *,
    stop: threading.Event,
    opener: ViewOpener = open_view,
    options: MirrorOptions,
    link: LinkOptions = DEFAULT_LINK,
) -> MirrorStats:
    """Remove from the request's target what only it has, by the options' policy; all else stays as it is.

    Raises what ``run_verify`` does, what ends a mirror, and Halted when a root is not what it was at
    the last mirror.
    """
    tally = Tally()
    guard = Guard(opener, options.orphans, rebind=request.rebind)

    def tick() -> None:
        _check(stop, "removal of orphans")
        guard.check()

    guard.begin(request.mount_points)
    with _session(request, identity, link, tally, tick) as (session, roots):
        for index, mount_point in enumerate(roots):
            guard.look(mount_point, _scope(options, mount_point), session.target.replicas[index])
            with guard.open(mount_point) as root:
                OrphanRemoval(
                    root,
                    session.listing(index),
                    session.packer(index),
                    options.orphans,
                    scope=_scope(options, mount_point),
                    problem=tally.problem,
                    pause=tick,
                ).run()
            session.commit(index)
    return tally.stats()


@contextmanager
def _session(
    request: MirrorRequest, identity: Identity, link: LinkOptions, tally: Tally, tick: Callable[[], None]
) -> Iterator[tuple[SourceSession, tuple[str, ...]]]:
    """A stream to the request's target and the roots in it; its good end ends the stream well."""
    roots = request.roots
    session = SourceSession(
        route(request, identity, tls=link.tls),
        job=request.job,
        roots=roots,
        existing=True,
        link=link,
        limiter=Limiter(link.bandwidth),
        tally=tally,
        tick=tick,
        backoff=RECONNECT,
    )
    try:
        session.greet()
        yield session, roots
        session.finish()
    finally:
        session.close()


def _scope(options: MirrorOptions, mount_point: str) -> Scope | None:
    return select((*options.rules, OWN_STATE), mount_point)


def _check(stop: threading.Event, what: str) -> None:
    if stop.is_set():
        raise Interrupted(f"the {what} was stopped", hint="start it again; it starts from the beginning")
