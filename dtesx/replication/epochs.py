"""A target's epochs: kept as they arrive, applied when they are whole, forgotten when that is on disk."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from dtesx.apply.applying import Applier
from dtesx.apply.durable import sync_file_system
from dtesx.apply.epochs import EpochLog
from dtesx.apply.errors import Hold, persist
from dtesx.apply.orphans import open_beside
from dtesx.apply.staging import unstaged
from dtesx.base.errors import DtesxError
from dtesx.base.log import get_logger
from dtesx.mirror.protection import protected
from dtesx.model.epoch import Epoch
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Frame
from dtesx.wire.messages import decode, expect
from dtesx.wire.operations import Operations

log = get_logger(__name__)

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Apply = Callable[[str, Operations, memoryview, bool], None]
"""Carries out one frame of operations on a root, known by its name; True: perhaps not for the first time."""


class Epochs:
    """The epochs of one place. Methods raise DtesxError and what ``hold`` and ``apply`` raise.

    ``settled`` is called when all that was applied is on disk and forgotten here; it may raise OSError.
    """

    def __init__(self, kept: EpochLog, apply: Apply, settled: Callable[[], None], hold: Hold) -> None:
        self._log = kept
        self._apply = apply
        self._settled = settled
        self._hold = hold
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

    def recover(self, sync: Callable[[], None]) -> None:
        """Apply what was whole when the target ended; ``sync`` has all of it on disk."""
        self._log.discard()
        numbers = self._log.waiting()
        for number in numbers:
            log.info("epoch applied again", number=number)
            self._carry_out(self._log.epoch(number), again=True)
        if self._last is not None and numbers:
            self._persistently(sync)
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
                self._persistently(self._settled)

    def close(self) -> None:
        """An epoch that is not whole is forgotten."""
        self._log.close()

    def _carry_out(self, epoch: Epoch, *, again: bool) -> None:
        for roots, frame in self._log.read(epoch.number):
            message = expect(decode(frame), Operations)
            self._apply(roots[message.root], message, frame.blob, again)
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
    with ExitStack() as stack:
        fds: dict[str, int] = {}
        appliers: dict[str, Applier] = {}

        def apply(root: str, message: Operations, blob: memoryview, again: bool) -> None:
            if root not in appliers:
                fds[root] = os.open(find(root), _OPEN)
                stack.callback(os.close, fds[root])
                appliers[root] = _applier(fds[root], find(root), hold)
                stack.callback(appliers[root].close)
            appliers[root].apply(message.operations, blob, kept=True, again=again)

        def hold(_full: bool, reason: str) -> None:
            log.warning("an epoch cannot be applied yet", reason=reason)
            wait()

        def sync() -> None:
            for fd in fds.values():
                sync_file_system(fd)

        def settled() -> None:
            for applier in appliers.values():
                applier.settled()

        Epochs(kept, apply, settled, hold).recover(sync)


def _applier(fd: int, path: Path, hold: Hold) -> Applier:
    return Applier(
        fd,
        lambda path, reason: log.warning("not as it should be on the replica", path=path, reason=reason),
        hold=hold,
        beside=lambda move_to: open_beside(path, move_to),
        protection=protected,
        adopt=unstaged,
    )
