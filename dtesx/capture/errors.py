"""Why something cannot be watched."""

from __future__ import annotations

from dtesx.base.errors import DtesxError


class NotWatchable(DtesxError):
    """The kernel does not tell about changes here: it lacks the means, or refuses them to us."""

    code = "not-watchable"
