"""A target's epochs: kept as they arrive, applied when they are whole, forgotten when that is on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from dtesx.apply.epochs import EpochLog
from dtesx.apply.errors import Hold, persist
from dtesx.apply.outlook import Outlook
from dtesx.base.errors import Conflict, ConnectionFailed, DtesxError, EpochDamaged
from dtesx.base.log import get_logger
from dtesx.model.epoch import Epoch, EpochKind, InsertedTask, KeptEpoch, QueueAction, QueueOrder, TargetQueue
from dtesx.model.target import TargetOptions
from dtesx.model.tasks import TaskResult
from dtesx.replication.appliers import Appliers
from dtesx.replication.outlooks import Outlooks
from dtesx.replication.tasks import Tasks
from dtesx.wire.errors import ProtocolError
from dtesx.wire.frames import Frame
from dtesx.wire.messages import decode, expect
from dtesx.wire.operations import Moves, Operations
from dtesx.wire.sums import Sums, SumsRequest

log = get_logger(__name__)

DEFAULTS = TargetOptions()

_LOOK = 64 << 20
_LARGE = 64 << 20  # an epoch that does not wait for room that somebody may make
_NAMES = 1_000_000  # some 500 bytes of memory each


class Epochs:
    """The epochs of one place. Methods raise DtesxError and what ``hold`` and ``beat`` raise.

    ``appliers`` carry them out, ``tasks`` runs what is to run between two of them; ``root`` gives the
    present name of a root from its name then. ``hold`` waits for room, or because something cannot be
    done yet. ``beat`` is called now and then, ``idle`` waits a moment for a task (Tasks.run).
    While ``resting`` says so, epochs wait until ``apply``, and ``outlook`` tells what the roots will be.
    One thread at a time.
    """

    def __init__(
        self,
        kept: EpochLog,
        appliers: Appliers,
        hold: Hold,
        tasks: Tasks,
        *,
        root: Callable[[str], str] = lambda name: name,
        beat: Callable[[], None] = lambda: None,
        idle: Callable[[], None] = lambda: None,
        resting: Callable[[], bool] = lambda: False,
        options: TargetOptions = DEFAULTS,
    ) -> None:
        self._log = kept
        self._appliers = appliers
        self._hold = hold
        self._root = root
        self._beat = beat
        self._tasks = tasks
        self._idle = idle
        self._resting = resting
        self._options = options
        self._last = kept.last()
        self._waiting = [kept.kept(number) for number in kept.waiting()]
        self._unsettled: deque[Epoch] = deque()
        self._looked = 0
        self._outlooks = Outlooks(appliers.fd)
        self.results: deque[TaskResult] = deque()
        """What became of tasks, for the source."""
        self.arriving = False
        """Whether operations that come now belong to an epoch."""
        self.applying = False
        """Whether one is being carried out."""

    @property
    def last(self) -> Epoch | None:
        """The last epoch that was applied."""
        return self._last

    @property
    def kept(self) -> Epoch | None:
        """The last epoch that will be applied, or was."""
        return self._waiting[-1].epoch if self._waiting else self._last

    @property
    def waiting(self) -> Sequence[KeptEpoch]:
        """The epochs that wait to be applied."""
        return self._waiting

    def outlook(self, root: str) -> Outlook | None:
        """What a root will be when all that waits is applied; None when nothing waits."""
        return self._outlooks.of(root) if self._waiting else None

    def foreseen(self, root: str, request: SumsRequest) -> SumsRequest | Sums:
        """What of a request for sums is left to be read, or the answer that what waits gives to it."""
        return self._outlooks.sums(root, request) if self._waiting else request

    def begin(self, roots: Sequence[str]) -> None:
        """An epoch begins to arrive."""
        self._persistently(lambda: self._log.begin(roots))
        self._looked = 0
        self.arriving = True

    def add(self, frame: Frame) -> None:
        """A frame of its operations. Raises ConnectionFailed when the epoch is given up."""
        while reason := self._no_room(frame.size):
            if self._unsettled:  # they have their room until they are on the replica's disk
                self._settle_all()
            elif self._log.size >= _LARGE and not (self._resting() or self._waiting):
                self._give_up(reason)
            else:
                self._hold(True, reason)
        self._persistently(lambda: self._log.add(frame))

    def end(self, epoch: Epoch, tasks: Sequence[InsertedTask]) -> bool:
        """It is complete: keep it durably. When it is applied, ``tasks`` run.

        Whether it is to wait; otherwise it has to be applied now.
        """
        latest = self.kept
        if latest is not None and epoch.number <= latest.number:
            raise ProtocolError(f"epoch {epoch.number} arrived after epoch {latest.number}")
        self.arriving = False
        waits = self._resting()
        self._persistently(lambda: self._log.complete(epoch, tasks, waits=waits))
        self._waiting.append(self._log.kept(epoch.number))
        if waits:
            self._foresee(epoch.number)
        return waits

    def apply(self, *, check: bool = False) -> Epoch:
        """Apply the first one that waits.

        ``check``: it was kept for long. Raises EpochDamaged before anything of it is applied.
        """
        epoch = self._waiting[0].epoch
        if check:
            self._log.check(epoch.number)
        self._persistently(lambda: self._log.begin_to_apply(epoch.number))
        self.applying = True
        try:
            self._carry_out(epoch, again=check)
            self._run_tasks(self._waiting[0])
        finally:
            self.applying = False
        self._waiting.pop(0)
        self._last = epoch
        self._unsettled.append(epoch)
        if not self._waiting:
            self._outlooks.clear()
        return epoch

    def recover(self) -> None:
        """Apply what was whole when the target ended; while it rests, what had been begun.

        What it comes to when the rest is applied is known then.
        """
        if self._resting():
            self._finish()
            self.foresee()
        elif self._waiting:
            log.info("epochs are applied again", numbers=[kept.epoch.number for kept in self._waiting])
            self._apply_through(self._waiting[-1].epoch.number)

    def foresee(self) -> None:
        """Know anew what all that waits comes to."""
        self._outlooks.clear()
        for kept in self._waiting:
            self._foresee(kept.epoch.number)

    def settle(self, durable: int) -> None:
        """The epochs up to the number ``durable`` are on the replica's disk."""
        settled = None
        while self._unsettled and self._unsettled[0].number <= durable:
            settled = self._unsettled.popleft()
        if settled is not None:
            epoch = settled
            self._persistently(lambda: self._log.applied(epoch))
            if not self._unsettled:
                self._persistently(self._appliers.settled)

    def obey(self, order: QueueOrder) -> TargetQueue:
        """Deal with what waits as somebody wishes. What this returns from is on disk.

        Raises Conflict when that cannot be done now.
        """
        if order.action is not QueueAction.SHOW:
            if self.applying or not self._resting():
                raise Conflict("the queue is being applied", hint="pause the replica first: dtesx pause")
            try:
                self._finish()
            except EpochDamaged:
                if order.action is not QueueAction.DISCARD:
                    raise
                self._persistently(self._log.forget)
                self._last = None
            through = self._consistent() if order.consistent else order.through
            if order.action is QueueAction.APPLY and self._waiting:
                self._apply_through(self._waiting[-1].epoch.number if through is None else through)
            if order.action is QueueAction.DISCARD or order.consistent:
                self._discard(through or 0)
            self.foresee()
        return TargetQueue(self._last, tuple(self._waiting))

    def close(self) -> None:
        """An epoch that is not whole is forgotten."""
        self._log.close()
        self._outlooks.close()

    def _finish(self) -> None:
        """Apply all of what the replica may have in part: nothing else makes it what it was at an epoch."""
        if begun := self._log.begun():
            self._apply_through(begun)

    def _apply_through(self, number: int) -> None:
        while self._waiting and self._waiting[0].epoch.number <= number:
            self.apply(check=True)
        self._settle_all()

    def _settle_all(self) -> None:
        """Have on disk all that was carried out."""
        if self._unsettled:
            self._persistently(self._appliers.sync)
            self.settle(self._unsettled[-1].number)

    def _foresee(self, number: int) -> None:
        for roots, frame in self._log.read(number):
            message = expect(decode(frame), Operations)
            self._outlooks.of(self._root(roots[message.root])).add(message.operations)
            self._beat()

    def _consistent(self) -> int:
        """The number of the last epoch that is consistent."""
        epochs = [kept.epoch for kept in self._waiting if kept.epoch.kind is not EpochKind.FUZZY]
        if epochs:
            return epochs[-1].number
        if self._last is not None and self._last.kind is not EpochKind.FUZZY:
            return self._last.number
        raise Conflict(
            "no consistent epoch waits, nor was the last one that was applied consistent",
            hint="apply or discard what there is: dtesx queue show",
        )

    def _discard(self, after: int) -> None:
        numbers = [kept.epoch.number for kept in self._waiting if kept.epoch.number > after]
        self._persistently(lambda: self._log.drop(numbers))
        self._waiting = [kept for kept in self._waiting if kept.epoch.number <= after]
        if numbers:
            log.info("epochs were discarded", numbers=numbers)

    def _give_up(self, reason: str) -> None:
        """There will be no room for the epoch that arrives: the source has to mirror, which needs none."""
        log.warning("an epoch is given up, and mirrored", size=self._log.size, reason=reason)
        self._persistently(self._log.forget)
        self._last = None
        self.arriving = False
        self._log.discard()
        raise ConnectionFailed(f"the source has to mirror what has no room as an epoch: {reason}")

    def _no_room(self, size: int) -> str:
        """Why nothing more may be kept; empty while it may."""
        used = self._log.size + sum(kept.size for kept in self._waiting)
        limit = self._options.queue_limit
        if self._resting() and limit and used + size > limit:
            return f"the queue has reached its limit of {limit >> 20} MiB"
        if self._resting() and self._outlooks.names > _NAMES:
            return f"the queue is about more than {_NAMES} names"
        # Each look costs a system call, and what arrives between two of them is little.
        if self._log.size >= self._looked or self._resting():
            free = self._log.free()
            if free - size < self._options.queue_free:
                return f"the queue leaves {free >> 20} MiB free where it is kept"
            self._looked = self._log.size + min(_LOOK, (free - self._options.queue_free) // 2)
        return ""

    def _carry_out(self, epoch: Epoch, *, again: bool) -> None:
        for roots, frame in self._log.read(epoch.number):
            message = expect(decode(frame), Operations)
            if self._unsettled and any(isinstance(operation, Moves) for operation in message.operations):
                # What was carried out before must not be carried out again when names are others.
                self._settle_all()
            applier = self._appliers.of(self._root(roots[message.root]))
            applier.apply(message.operations, frame.blob, kept=True, again=again)
            self._beat()

    def _run_tasks(self, kept: KeptEpoch) -> None:
        if kept.tasks:  # they may copy what is on the disk
            self._persistently(self._appliers.sync)
        for asked in kept.tasks:
            self._persistently(partial(self._run_task, asked, kept.epoch))

    def _run_task(self, asked: InsertedTask, epoch: Epoch) -> None:
        self.results.append(self._tasks.run(asked, epoch, self._idle))

    def _persistently(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            if (lasting := persist(action, error, "the queue of epochs", self._hold)) is not None:
                raise DtesxError(
                    f"the target cannot keep epochs: {lasting.strerror}",
                    hint="look at the directory for epochs on the target",
                ) from lasting
