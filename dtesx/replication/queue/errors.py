"""The error of the source queue."""

from __future__ import annotations

from dtesx.base.errors import DtesxError


class QueueDamaged(DtesxError):
    """The disk queue could not be written or does not read back as it was written."""

    code = "queue-damaged"
    recoverable = True
