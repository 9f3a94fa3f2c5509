"""Errors of the source queue. Both end a connection; what was queued reaches the target by a remirror."""

from __future__ import annotations

from dtesx.base.errors import DtesxError


class QueueFull(DtesxError):
    """Neither memory nor disk has room for what is to be queued."""

    code = "queue-full"
    recoverable = True


class QueueDamaged(DtesxError):
    """The disk queue could not be written or does not read back as it was written."""

    code = "queue-damaged"
    recoverable = True
