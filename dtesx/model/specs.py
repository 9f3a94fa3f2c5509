"""The parts of a job file that its source is told, too: all that a mirror without a job needs of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dtesx.model.mirror import Compare
from dtesx.model.rules import Rule

if TYPE_CHECKING:
    from dtesx.model.replication import ReplicationOptions

OWN_STATE = "/var/lib/dtesx"
"""Where dtesx keeps its own state on a source. It never travels, whatever a job says."""

MIN_EPOCH = 0.1
MAX_EPOCH = 3600.0


@dataclass(frozen=True)
class WorkloadSpec:
    """What of the source is protected: all volumes, or these (mount points) besides the system's own.

    ``/``, ``/usr``, ``/boot`` and the EFI system partition always belong to it.
    """

    volumes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for path in self.volumes or ():
            if not path.startswith("/"):
                raise ValueError(f"workload.volumes: {path!r} is not a mount point such as /srv")


@dataclass(frozen=True)
class MirrorSpec:
    """How files travel. ``exclude`` lists absolute paths on the source that stay behind."""

    compare: Compare = Compare.ATTRIBUTES
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for path in self.exclude:
            if not path.startswith("/") or path == "/":
                raise ValueError(f"mirror.exclude: {path!r} must be an absolute path below /")
            try:
                Rule(path)
            except ValueError as error:
                raise ValueError(f"mirror.exclude: {error}") from error


@dataclass(frozen=True)
class FailoverSpec:
    """What belongs to a failover: ``before`` is a task of the appliance that runs first (empty: none)."""

    before: str = ""


@dataclass(frozen=True)
class ReplicationSpec:
    """What follows a mirror: while ``enabled``, what changes travels, an epoch every ``epoch`` seconds.

    One every ``consistent_every`` seconds (0: never) is to be of one moment (ReplicationOptions); the
    source's hooks of the name ``hooks`` (empty: none) prepare its applications for it.
    """

    enabled: bool = True
    epoch: float = 2.0
    consistent_every: float = 15.0
    hooks: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.consistent_every <= MAX_EPOCH:
            raise ValueError(f"replication.consistent_every must be between 0 and {MAX_EPOCH} seconds")
        if not MIN_EPOCH <= self.epoch <= MAX_EPOCH:
            raise ValueError(f"replication.epoch must be between {MIN_EPOCH} and {MAX_EPOCH} seconds")

    def options(self) -> ReplicationOptions:
        """The same as the engine takes it."""
        from dtesx.model.replication import ReplicationOptions  # many classes, which a mirror never needs

        return ReplicationOptions(epoch=self.epoch, consistent_every=self.consistent_every)
