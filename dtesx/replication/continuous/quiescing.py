"""Having applications write down what they hold, before an epoch of one moment, and go on after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dtesx.base.errors import CommandFailed, DtesxError
from dtesx.base.log import get_logger
from dtesx.base.run import run_alone

log = get_logger(__name__)


class NotQuiesced(DtesxError):
    """The applications could not be prepared; ``message`` says why."""

    code = "not-quiesced"
    recoverable = True


class Applications:
    """Applications that the command ``quiesce`` prepares and ``release`` (empty: none) lets go on.

    Each may take so many ``seconds``. Whatever happens in between, ``release`` is run: the file ``mark`` is
    there meanwhile, so that the next start knows when we were killed. For one thread.
    """

    def __init__(self, quiesce: Sequence[str], release: Sequence[str], seconds: float, mark: Path) -> None:
        self._quiesce = quiesce
        self._release = release
        self._seconds = seconds
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
                run_alone(self._quiesce, self._seconds)
            except CommandFailed as error:
                raise NotQuiesced(error.message, hint="look at --quiesce") from error
            yield
        finally:
            self._let_go()

    def _let_go(self) -> None:
        try:
            if self._release:
                run_alone(self._release, self._seconds)
        except CommandFailed as error:  # the mark stays, so that it is tried again
            log.error("applications could not be released", reason=error.message)
        else:
            self._mark.unlink(missing_ok=True)
