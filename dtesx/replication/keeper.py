"""The epochs that wait at a place while no source is there: applied when it may be, or as ordered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dtesx.apply.epochs import EpochLog
from dtesx.base.errors import DtesxError, Interrupted
from dtesx.base.log import get_logger
from dtesx.model.epoch import QueueOrder, TargetQueue
from dtesx.replication.appliers import Appliers
from dtesx.replication.epochs import Epochs
from dtesx.replication.orders import Orders
from dtesx.replication.pausing import Gate
from dtesx.replication.tasks import Tasks

log = get_logger(__name__)


@dataclass(frozen=True)
class Keeper:
    """Keeps the epochs of one place in ``directory``, and runs its ``tasks``.

    ``find`` knows the directory of a root, ``wait`` waits before something is tried again, or
    raises Interrupted to end it all. While ``gate`` is shut nothing is applied without an order.
    """

    directory: Path
    tasks: Tasks
    find: Callable[[str], Path]
    wait: Callable[[], None]
    gate: Gate
    orders: Orders

    def recover(self) -> None:
        """Apply what waits, unless a session does. An epoch that cannot be applied is only logged.

        Raises Interrupted.
        """
        self.orders.unless_held(self._recover)

    def finish(self) -> None:
        """The same, when there are no sessions any more. Raises Interrupted."""
        self.orders.at_last(self._recover)

    def _recover(self) -> None:
        try:
            self._with_epochs(Epochs.recover)
        except Interrupted:
            raise
        except DtesxError as error:
            log.error("epochs cannot be applied", reason=error.message, hint=error.hint)

    def resumed(self) -> None:
        """The place is not paused any more: go on in a thread."""

        def go_on() -> None:
            with suppress(Interrupted):
                self.recover()

        threading.Thread(target=go_on, name="dtesx-queue", daemon=True).start()

    def order(self, order: QueueOrder) -> TargetQueue:
        """Deal with what waits. Raises DtesxError."""
        return self.orders.order(order, self._obey)

    def _obey(self, order: QueueOrder) -> TargetQueue:
        queue = TargetQueue(None, ())

        def obey(epochs: Epochs) -> None:
            nonlocal queue
            queue = epochs.obey(order)

        self._with_epochs(obey)
        return queue

    def _with_epochs(self, action: Callable[[Epochs], None]) -> None:
        with Appliers(self.find, _problem, self._hold) as appliers:
            epochs = Epochs(
                EpochLog(self.directory),
                appliers,
                self._hold,
                self.tasks,
                idle=self.wait,
                resting=lambda: self.gate.shut,
            )
            try:
                action(epochs)
            finally:
                epochs.close()

    def _hold(self, _full: bool, reason: str) -> None:
        log.warning("an epoch cannot be applied yet", reason=reason)
        self.wait()


def _problem(path: bytes, reason: str) -> None:
    log.warning("not as it should be on the replica", path=path, reason=reason)
