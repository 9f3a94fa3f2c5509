"""The history of a replication: samples in a file of fixed size, the oldest of which give way."""

from __future__ import annotations

import struct
from dataclasses import astuple, fields
from pathlib import Path

from dtesx.base import ring
from dtesx.model.replication import ReplicationSample, ReplicationState

SIZE = 1 << 20
"""Bytes of the file: 8900 samples."""

INTERVAL = 10.0
"""Seconds from one sample to the next: the file holds the last 24 hours."""

_FILE = "history"
_STATES = tuple(ReplicationState)
_KINDS = {"float": "d", "int": "Q", "ReplicationState": "B"}
_TYPES = tuple(str(field.type) for field in fields(ReplicationSample))
_SAMPLE = struct.Struct("<" + "".join(_KINDS[kind] for kind in _TYPES))


class History:
    """Adds samples to the history in ``directory``. Every method raises OSError."""

    def __init__(self, directory: Path) -> None:
        self._ring = ring.Ring(directory / _FILE, SIZE, _SAMPLE.size)

    def add(self, sample: ReplicationSample) -> None:
        """Add a sample."""
        values = [_STATES.index(v) if isinstance(v, ReplicationState) else v for v in astuple(sample)]
        self._ring.add(_SAMPLE.pack(*values))

    def close(self) -> None:
        """Close the file."""
        self._ring.close()


def read(directory: Path, since: float = 0.0) -> list[ReplicationSample]:
    """The samples from the Unix time ``since`` on, the oldest first. Raises OSError."""
    samples = (_sample(record) for record in ring.read(directory / _FILE, _SAMPLE.size))
    return [sample for sample in samples if sample.at >= since]


def _sample(record: bytes) -> ReplicationSample:
    values = zip(_TYPES, _SAMPLE.unpack(record), strict=True)
    return ReplicationSample(
        *(_STATES[value] if kind == "ReplicationState" else value for kind, value in values)
    )
