"""The error of a peer that does not keep to the protocol."""

from __future__ import annotations

from dtesx.base.errors import DtesxError


class ProtocolError(DtesxError):
    """The peer sent something that the protocol does not allow; the connection ends, nothing else."""

    code = "protocol"

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="check that both sides run the same version of dtesx")
