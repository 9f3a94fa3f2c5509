"""Having applications write down what they hold, before an epoch of one moment, and go on after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from dtesx.base.errors import CommandFailed, DtesxError
from dtesx.base.log import get_logger
from dtesx.base.run import run_alone
from dtesx.model.hooks import Hooks

log = get_logger(__name__)

QUIESCED = "quiesced"
"""The file of a replication's directory that is there while applications are prepared."""


class NotQuiesced(DtesxError):
    """The applications could not be prepared; ``message`` says why."""

    code = "not-quiesced"
    recoverable = True


class Quiescing(Protocol):
    """Prepares applications."""

    def recover(self) -> None:
        """Let go on what somebody held who was killed, or could not let go."""

    def quiesced(self) -> AbstractContextManager[None]:
        """Run the block while they are prepared. Raises NotQuiesced when they cannot be."""


class Applications:
    """Applications that ``hooks`` prepare and let go on.

    Whatever happens in between, they are released: the file ``mark`` is there meanwhile, so that the next
    start knows when we were killed. For one thread.
    """

    def __init__(self, hooks: Hooks, mark: Path) -> None:
        self._hooks = hooks
        self._mark = mark

    def recover(self) -> None:
        """Let go on what somebody held who was killed, or could not let go."""
        if self._mark.exists():
            log.warning("applications may still be quiesced: they are released")
            self._let_go()

    @contextmanager
    def quiesced(self) -> Iterator[None]:
        """Run the block while the applications are prepared. Raises NotQuiesced when they cannot be."""
        self.recover()
        self._mark.touch()
        try:
            try:
                run_alone(self._hooks.quiesce, self._hooks.timeout)
            except CommandFailed as error:
                raise NotQuiesced(error.message, hint="look at what quiesces them") from error
            yield
        finally:
            self._let_go()

    def _let_go(self) -> None:
        try:
            if self._hooks.release:
                run_alone(self._hooks.release, self._hooks.timeout)
        except CommandFailed as error:  # the mark stays, so that it is tried again
            log.error("applications could not be released", reason=error.message)
        else:
            self._mark.unlink(missing_ok=True)


@dataclass(frozen=True)
class UnknownHooks:
    """Stands for hooks of a ``name`` that nobody configured here."""

    name: str

    def recover(self) -> None:
        """Nothing is held: there is nothing that could."""

    def quiesced(self) -> NoReturn:
        raise NotQuiesced(
            f"this source has no hooks named {self.name}",
            hint="its administrator names them: dtesx service source --hooks FILE",
        )
