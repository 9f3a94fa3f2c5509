"""A job's replication on its source: capture, engine and desk put together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from dtesx.management import controls, replications
from dtesx.management.desk import Desk
from dtesx.management.job_replications import Told
from dtesx.model.hooks import Hooks
from dtesx.model.location import TargetUrl
from dtesx.model.request import ReplicationRequest
from dtesx.replication.continuous.following import Follower
from dtesx.replication.continuous.leaving import Without
from dtesx.replication.continuous.quiescing import QUIESCED, Applications, Quiescing, UnknownHooks
from dtesx.replication.continuous.replicating import Assignment, Replication
from dtesx.replication.control import MirrorControl
from dtesx.replication.sending import OWN_STATE, job_options
from dtesx.volumes.views import open_view
from dtesx.wire.identity import Identity


def run_replication(
    request: ReplicationRequest,
    identity: Identity,
    *,
    state: Path,
    hooks: Mapping[str, Hooks],
    tell: Callable[[Told], None],
    control: MirrorControl,
    stop: threading.Event,
) -> None:
    """Replicate a job's file systems as ``control`` says until ``stop`` is set.

    ``state`` is the service's state directory, ``hooks`` those of this source. Implements
    management.job_replications.RunReplication.
    Raises what Desk, Follower and Replication raise.
    """
    mirror = request.mirror
    target = TargetUrl(mirror.address, mirror.port, mirror.job)
    directory = replications.directory_for(state, target)
    source = ", ".join(mirror.roots)
    with (
        Follower(mirror.roots, open_view) as follower,
        Desk(directory, source, target.endpoint, follower.status, lambda _status: None) as desk,
    ):
        assignment = Assignment(
            mirror,
            identity,
            mirror=job_options(mirror.mirror),
            options=request.replication.options(),
            link=mirror.link.options(),
            opener=open_view,
            catalogue=state / "catalogues",
            applications=_applications(request.replication.hooks, hooks, directory / QUIESCED),
        )
        capture = Without(follower, mirror.roots, OWN_STATE.path)
        replication = Replication(assignment, capture, status=desk.note, stop=stop, control=control)
        with desk.answering(replication, controls.refusals()):
            tell(desk.report)
            replication.run()


def _applications(name: str, hooks: Mapping[str, Hooks], mark: Path) -> Quiescing | None:
    if not name:
        return None
    return Applications(hooks[name], mark) if name in hooks else UnknownHooks(name)
