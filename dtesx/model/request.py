"""What a source is asked to mirror, and where that stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dtesx.model.link import LinkSpec
from dtesx.model.mounting import mount_key
from dtesx.model.specs import MirrorSpec, ReplicationSpec
from dtesx.model.transmission import check_bandwidth


class MirrorPhase(StrEnum):
    """Where a mirror stands on the source."""

    CONNECTING = "connecting"
    CALCULATING = "calculating"
    RUNNING = "in-progress"
    PAUSED = "paused"
    SCHEDULED = "scheduled"
    TARGET_PAUSED = "target-paused"
    TARGET_FULL = "target-full"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


FINAL_PHASES = (MirrorPhase.DONE, MirrorPhase.FAILED, MirrorPhase.STOPPED)
"""The phases of a mirror that is over."""


@dataclass(frozen=True)
class MirrorRequest:
    """Asks a source to mirror its file systems to a target worker.

    ``mount_points`` are the file systems that travel; ``certificate`` is the target's (PEM), the
    only one the source will talk to. With ``rebind`` they may be others than at the last mirror, and
    empty (mirror.safety). A mirror that is ``paused`` begins when it is resumed. ``bandwidth`` (bytes/s,
    0 for no limit) takes the place of the link's limits; None leaves these in force. ``secret`` is what
    the two share, for links without TLS.
    """

    job: str
    address: str
    port: int
    certificate: str
    mount_points: tuple[str, ...]
    mirror: MirrorSpec = MirrorSpec()
    link: LinkSpec = LinkSpec()
    rebind: bool = False
    paused: bool = False
    bandwidth: int | None = None
    secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        check_bandwidth(self.bandwidth or 0)

    @property
    def roots(self) -> tuple[str, ...]:
        """The mount points, each after those it is mounted below."""
        return tuple(sorted(self.mount_points, key=mount_key))


@dataclass(frozen=True)
class ReplicationRequest:
    """Asks a source to replicate what it has mirrored: from where to where as ``mirror`` says."""

    mirror: MirrorRequest
    replication: ReplicationSpec = ReplicationSpec()

    @property
    def job(self) -> str:
        """The job's id."""
        return self.mirror.job
