"""What the demo needs of a lab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dtesx.base.run import Completed


class Server(Protocol):
    """The server that is protected and lost."""

    @property
    def address(self) -> str:
        """Its address, as the appliance reaches it."""

    def run(self, argv: Sequence[str], *, timeout: float = 60.0, ok: Sequence[int] = (0,)) -> Completed:
        """Run a program on it."""

    def lose(self) -> None:
        """Crash it: processes die, the link goes down."""


@dataclass(frozen=True)
class Vcenter:
    """How to reach the lab's vCenter, and what to use of it."""

    address: str
    port: int
    user: str
    password: str
    thumbprint: str
    datastore: str
    network: str


@dataclass(frozen=True)
class Ssh:
    """How to log in to the replica from this host."""

    address: str
    port: int
    key: Path
