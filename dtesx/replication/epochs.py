"""A target's epochs: kept as they arrive, applied when they are whole, forgotten when that is on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from dtesx.apply.epochs import EpochLog
from dtesx.apply.errors import Hold, persist
from dtesx.base.errors import DtesxError
from dtesx.base.log import get_logger
from dtesx.model.epoch import Epoch
from dtesx.replication.appliers import Appliers
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Frame
from dtesx.wire.messages import decode, expect
from dtesx.wire.operations import Operations

log = get_logger(__name__)


class Epochs:
    """The epochs of one place. Methods raise DtesxError and what ``hold`` and ``beat`` raise.

    ``appliers`` carry them out; ``root`` gives the present name of a root from its name then.
    ``beat`` is called now and then.
    """

    def __init__(
        self,
        kept: EpochLog,
        appliers: Appliers,
        hold: Hold,
        *,
        root: Callable[[str], str] = lambda name: name,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = kept
        self._appliers = appliers
        self._hold = hold
        self._root = root
        self._beat = beat
        self._last = kept.last()
        self._unsettled: deque[tuple[int, Epoch]] = deque()
        self.arriving = False
        """Whether operations that come now belong to an epoch."""

    @property
    def last(self) -> Epoch | None:
        """The last epoch that was applied."""
        return self._last

    @property
    def fd(self) -> int:
        """A descriptor of the file system that holds what arrives."""
        return self._log.fd

    def begin(self, roots: Sequence[str]) -> None:
        """An epoch begins to arrive."""
        self._persistently(lambda: self._log.begin(roots))
        self.arriving = True

    def add(self, frame: Frame) -> None:
        """A frame of its operations."""
        self._persistently(lambda: self._log.add(frame))

    def end(self, epoch: Epoch, frame: int) -> None:
        """It is complete, as frame number ``frame`` said: keep it durably, then apply it."""
        if self._last is not None and epoch.number <= self._last.number:
            raise ProtocolError(f"epoch {epoch.number} arrived after epoch {self._last.number}")
        self.arriving = False
        self._persistently(lambda: self._log.complete(epoch))
        self._carry_out(epoch, again=False)
        self._unsettled.append((frame, epoch))

    def recover(self) -> None:
        """Apply what was whole when the target ended."""
        self._log.discard()
        numbers = self._log.waiting()
        for number in numbers:
            log.info("epoch applied again", number=number)
            self._carry_out(self._log.epoch(number), again=True)
        if self._last is not None and numbers:
            self._persistently(self._appliers.sync)
            self._unsettled.append((0, self._last))
            self.settle(0)

    def settle(self, durable: int) -> None:
        """Everything up to the frame ``durable`` is on the replica's disk."""
        settled = None
        while self._unsettled and self._unsettled[0][0] <= durable:
            settled = self._unsettled.popleft()[1]
        if settled is not None:
            epoch = settled
            self._persistently(lambda: self._log.applied(epoch))
            if not self._unsettled:
                self._persistently(self._appliers.settled)

    def close(self) -> None:
        """An epoch that is not whole is forgotten."""
        self._log.close()

    def _carry_out(self, epoch: Epoch, *, again: bool) -> None:
        for roots, frame in self._log.read(epoch.number):
            message = expect(decode(frame), Operations)
            applier = self._appliers.of(self._root(roots[message.root]))
            applier.apply(message.operations, frame.blob, kept=True, again=again)
            self._beat()
        self._last = epoch

    def _persistently(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            if (lasting := persist(action, error, "the journal of epochs", self._hold)) is not None:
                raise DtesxError(
                    f"the target cannot keep epochs: {lasting.strerror}",
                    hint="look at the directory for epochs on the target",
                ) from lasting


def recover(directory: Path, find: Callable[[str], Path], wait: Callable[[], None]) -> None:
    """Apply what was whole in ``directory`` when the target ended, before any source comes.

    ``find`` knows the directory of a root, ``wait`` waits before something is tried
    again, or raises to end it all.
    Raises DtesxError.
    """
    kept = EpochLog(directory)
    if not kept.waiting():
        return

    def hold(_full: bool, reason: str) -> None:
        log.warning("an epoch cannot be applied yet", reason=reason)
        wait()

    def problem(path: bytes, reason: str) -> None:
        log.warning("not as it should be on the replica", path=path, reason=reason)

    with Appliers(find, problem, hold) as appliers:
        Epochs(kept, appliers, hold).recover()
