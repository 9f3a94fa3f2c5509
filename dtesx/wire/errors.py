"""The error of a peer that does not keep to the protocol."""

from __future__ import annotations

from dtesx.base.errors import DtesxError, Refused

_HINT = "check that both sides run the same version of dtesx"


class ProtocolError(DtesxError):
    """The peer sent something that the protocol does not allow; the connection ends, nothing else."""

    code = "protocol"

    def __init__(self, message: str, *, hint: str = _HINT) -> None:
        super().__init__(message, hint=hint)


class StreamUnknown(Refused):
    """The target knows nothing of the stream that a source wants to go on with; a new one must begin."""

    code = "stream-unknown"
    recoverable = True
