"""A job's plan: what will be made, where, and how that differs from the source."""

from __future__ import annotations

from dataclasses import dataclass

from dtesx.model.layout import Layout
from dtesx.model.validation import Check
from dtesx.model.vmware import ReplicaPlan


@dataclass(frozen=True)
class DatastoreUse:
    """What a plan takes of a datastore; bytes.

    ``needed_bytes`` is what its disks and the running replica's swap file take when they are full,
    ``at_once_bytes`` what they take from the beginning: thin disks what the source uses. ``left_bytes`` is
    free when they are full, less than 0 when not all fits.
    """

    name: str
    type: str
    capacity_bytes: int
    free_bytes: int
    needed_bytes: int
    at_once_bytes: int
    left_bytes: int


@dataclass(frozen=True)
class NicMapping:
    """A network card of the source and its counterpart; ``network`` is "" for one that is left out.

    ``master`` is the bond, bridge or team that has the card, and whose addresses are told then.
    ``addresses``, ``gateways`` and ``name_servers`` are those after failover; ``changed`` tells whether
    they are others than the source's.
    """

    name: str
    mac: str
    network: str
    distributed: bool = False
    master: str = ""
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    name_servers: tuple[str, ...] = ()
    changed: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A mount of the source whose data do not travel; ``reason`` is a sentence without its full stop."""

    mount_point: str
    reason: str


@dataclass(frozen=True)
class Deviation:
    """Something that is not as on the source; ``source`` and ``replica`` in words."""

    subject: str
    source: str
    replica: str


@dataclass(frozen=True)
class Obstacle:
    """What keeps a plan from being carried out; ``code`` is the error that carrying it out would be."""

    check: Check
    code: str
    message: str
    hint: str


@dataclass(frozen=True)
class Caution:
    """A sentence about what may surprise later."""

    check: Check
    message: str


@dataclass(frozen=True)
class JobPlan:
    """What a job makes. It can be carried out when there are no ``obstacles``.

    ``excluded`` are paths that do not travel within what is protected, first the one that never does.
    """

    job: str
    replica: ReplicaPlan
    layout: Layout
    datastores: tuple[DatastoreUse, ...]
    nics: tuple[NicMapping, ...]
    left_out: tuple[LeftOut, ...] = ()
    excluded: tuple[str, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    warnings: tuple[Caution, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
