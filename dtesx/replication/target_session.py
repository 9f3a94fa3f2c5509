"""One stream as the target sees it: let the source in, list, apply, acknowledge, make durable."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from dtesx import __version__
from dtesx.apply.epochs import EpochLog
from dtesx.apply.staging import Staged, Staging
from dtesx.base.errors import ConnectionFailed, DtesxError, Interrupted
from dtesx.mirror.roots import is_empty
from dtesx.mirror.sums import Summer
from dtesx.model.epoch import QueueOrder, TargetQueue
from dtesx.model.roots import ReplicaRoot
from dtesx.model.stats import MirrorStats
from dtesx.model.target import TargetOptions
from dtesx.replication.accepting import Guest
from dtesx.replication.appliers import Appliers
from dtesx.replication.backlog import Backlog
from dtesx.replication.durability import Durability
from dtesx.replication.epochs import Epochs
from dtesx.replication.marks import Marks
from dtesx.replication.outcome import REASON, Outcome
from dtesx.replication.questions import Questions
from dtesx.wire.bond import Bond
from dtesx.wire.channel import TICK
from dtesx.wire.frames import Frame
from dtesx.wire.messages import (
    Ask,
    Bind,
    Commit,
    Committed,
    Credit,
    EpochApplied,
    EpochBegin,
    EpochEnd,
    EpochKept,
    Goodbye,
    Hold,
    List,
    Message,
    Paused,
    Replicas,
    Resumed,
    TaskEnded,
    Welcome,
)
from dtesx.wire.operations import Operations
from dtesx.wire.protocol import PROTOCOL, TargetProtocol, failure
from dtesx.wire.stream import WINDOW
from dtesx.wire.sums import Basis, SumsRequest

_LINGER = 5.0
_KEEP = 900.0
_PAUSED = "the target is paused"
_HARMLESS = (EpochBegin, Bind, Credit, Goodbye)  # to what a paused target holds


@dataclass(frozen=True)
class Service:
    """What has sessions serve, and is told of them.

    ``tick`` is called while waiting and may raise to end the session; ``report`` gets the counts after
    every frame, ``held`` why the target does not go on, and a reason for people. ``backlog`` counts what
    waits in all sessions together.
    """

    tick: Callable[[], None]
    report: Callable[[MirrorStats], None]
    held: Callable[[Hold, str], None]
    options: TargetOptions
    backlog: Backlog


class TargetSession:
    """Serves one stream of a source until its end.

    When its connections are lost, the session waits for the source to come back.
    """

    def __init__(self, guest: Guest, service: Service) -> None:
        self._service = service
        self._bond = Bond(tick=self._waiting, queue=WINDOW)
        self.stream = guest.hello.stream
        self._protocol = TargetProtocol(guest.hello.roots)
        self._roots = guest.place.roots
        self._binding = guest.place.binding
        self._stack = ExitStack()
        self._staging = Staging()
        self._stack.callback(self._staging.clear)
        self._appliers = self._stack.enter_context(
            Appliers(self._roots.__getitem__, self._problem, self._hold, self._adopt)
        )
        self._gate, self._orders = guest.place.gate, guest.place.orders
        self._epochs = Epochs(
            EpochLog(guest.place.epochs),
            self._appliers,
            self._hold,
            guest.place.tasks,
            root=self._protocol.present,
            beat=lambda: self._bond.step(0.0),  # a source that hears nothing for long takes us for dead
            idle=lambda: self._idle(TICK, Hold.BUSY, "a task runs"),
            resting=lambda: self._gate.shut,
            options=service.options,
        )
        self._stack.callback(self._epochs.close)
        self._rests = self._stack.enter_context(ExitStack())
        self._resting = self._said = self._discarded = False
        self._told = 0
        self._reason = ""
        self._stopped = False
        self._stack.callback(service.backlog.note, self, 0)
        self._marks = Marks(self._protocol.names, self._root, self._hold)
        self._questions = Questions(
            *(self._protocol, self._epochs, self._root, self._problem),
            summer=Summer(self.stream),
            staging=self._staging,
            catalogue=guest.place.catalogue,
        )
        self._stack.callback(self._questions.close)
        self._outcome = Outcome(self._appliers.counts)
        self._durability = Durability(self._bond.wake)
        self._applied = Durability(self._bond.wake)
        self._committing: Commit | None = None
        self._ended = False
        self._abandoned = 0.0
        self.join(guest)

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return bool(self._bond.slots)

    def join(self, guest: Guest) -> None:
        """Take in a further connection of the stream, or one in the place of another."""
        connection = guest.channel.connection
        self._bond.attach(guest.hello.slot, connection, guest.hello.received)
        connection.queue(Welcome(PROTOCOL, __version__, self._bond.incoming.received))

    def wake(self) -> None:
        """Have ``tick`` called soon; from any thread."""
        self._bond.wake()

    def run(self) -> None:
        """Serve; returns when the source said that this is the end.

        Raises Refused, TargetFull, ProtocolError or another DtesxError after having told the
        source, and ConnectionFailed when the source went and did not come back.
        """
        try:
            with self._stack:
                self._stack.callback(self._durability.close)
                self._stack.callback(self._applied.close)
                self._stack.enter_context(self._orders.held(self._bond.wake))
                self._stack.enter_context(self._gate.working())
                self._serve()
        except (ConnectionFailed, Interrupted):  # who hears nothing comes back, which is right for both
            raise
        except DtesxError as error:
            self._bond.part(failure(error), _LINGER)
            raise
        except Exception:
            defect = DtesxError("the target had an internal error", hint="look at the target's log")
            self._bond.part(failure(defect), _LINGER)
            raise

    def close(self) -> None:
        """Close the connections."""
        self._bond.close()

    def _serve(self) -> None:
        self._epochs.recover()
        replicas = tuple(self._replica(root) for root in range(len(self._protocol.names)))
        self._bond.send(Replicas(replicas, self._epochs.last, self._epochs.kept))
        self._told = self._epochs.last.number if self._epochs.last is not None else 0
        self._tell_stats()
        while not self._ended:
            self._follow()
            self._go_on()
            frame = self._bond.poll(0.0 if self._questions.due else TICK)
            if frame is not None:
                self._handle(self._protocol.receive(frame), frame)
            if (answer := self._questions.answer(idle=frame is None)) is not None:
                self._bond.send(answer)
            self._settle()

    def _handle(self, message: Message, frame: Frame) -> None:
        if not self._epochs.arriving and not isinstance(message, _HARMLESS):
            self._rest()
        if isinstance(message, Operations) and self._epochs.arriving:
            self._epochs.add(frame)
            # Not on disk yet. But who loses this process loses the stream, too, and begins the epoch anew.
            self._durability.applied(frame.sequence, 0)
        elif isinstance(message, EpochBegin):
            self._epochs.begin(self._protocol.names)
            self._durability.applied(frame.sequence, 0)
        elif isinstance(message, EpochEnd):
            self._end_epoch(message, frame.sequence)
        elif isinstance(message, Operations):
            self._marks.mark(message.root)
            self._appliers.of(self._protocol.names[message.root]).apply(message.operations, frame.blob)
            self._durability.applied(frame.sequence, frame.size, self._root(message.root))
            self._tell_outcome()
            self._tell_stats()
        else:
            self._durability.applied(frame.sequence, 0)
            self._answer(message)

    def _end_epoch(self, end: EpochEnd, sequence: int) -> None:
        waits = self._epochs.end(end.epoch, end.tasks)
        self._durability.applied(sequence, 0)
        if waits:
            self._bond.send(EpochKept(end.epoch.number))
        else:
            self._apply()

    def _apply(self, *, check: bool = False) -> None:
        """Apply the first epoch that waits."""
        epoch = self._epochs.apply(check=check)
        # It is kept until they are synced, which may take its time.
        for fd in self._appliers.working:
            self._applied.applied(epoch.number, 0, fd)
        self._applied.applied(epoch.number, 0)
        self._tell_stats()
        self._questions.renew()

    def _tell_applied(self) -> None:
        """Tell what was applied, and what became of tasks, as soon as somebody is there to hear it."""
        last = self._epochs.last
        if last is not None and last.number > self._told and self.connected:
            self._told = last.number
            self._tell_outcome()
            self._bond.send(EpochApplied(last.number))
        while self._epochs.results and self.connected:
            self._bond.send(TaskEnded(self._epochs.results.popleft()))

    def _adopt(self, root: str, directory: bytes, name: bytes, basis: Basis) -> Staged:
        return self._staging.adopt((self._protocol.names.index(root), directory, name), basis)

    def _answer(self, message: Message) -> None:
        """Deal with what changes no file."""
        if isinstance(message, (Ask, List, SumsRequest)):
            self._questions.ask(message)
        elif isinstance(message, Bind):
            self._binding.bind(replace(message.seen, path=self._protocol.names[message.root]))
        elif isinstance(message, Commit):
            self._committing = message
            self._durability.commit(self._root(message.root))
        elif isinstance(message, Goodbye):
            self._ended = True

    def _settle(self) -> None:
        """See what has become durable meanwhile, and whether anybody is still there."""
        self._tell_applied()
        self._service.backlog.note(self, self._bond.incoming.held)
        durability = self._durability
        try:
            durability.look()
            self._applied.look()
        except OSError as error:
            self._marks.failed(error, self._committing.root if self._committing is not None else None)
        if self._committing is not None and durability.idle:
            self._commit(self._committing.root)
        self._epochs.settle(self._applied.durable)
        self._bond.acknowledge(durability.last, durability.durable)

    def _waiting(self) -> None:
        self._service.tick()
        if self.connected:
            self._abandoned = 0.0
        elif not self._abandoned:
            self._abandoned = time.monotonic()
        elif time.monotonic() - self._abandoned > _KEEP:
            raise ConnectionFailed("the source did not come back")

    def _hold(self, full: bool, reason: str) -> None:
        """Tell the source that an operation waits, and let it wait."""
        why, reason = Hold.FULL if full else Hold.BUSY, reason[:REASON]
        self._say_held(why, reason)
        deadline, shut = time.monotonic() + self._service.options.retry_delay, self._gate.shut
        while (left := deadline - time.monotonic()) > 0 and self._gate.shut is shut:
            self._idle(min(left, TICK), why, reason)
            if self._epochs.arriving and not self._epochs.applying:
                self._follow()
        if not self._epochs.arriving and not self._epochs.applying:
            self._rest()

    def _rest(self) -> None:
        """Do nothing for the source while the target is paused."""
        while self._gate.shut:
            self._follow()
            self._idle(TICK, Hold.PAUSED, _PAUSED)
            self._settle()
        self._follow()

    def _follow(self) -> None:
        """Do what was ordered: pause, go on, deal with the queue."""
        self._orders.serve(self._obey)
        if self._discarded:
            raise ConnectionFailed("epochs were discarded, so the source has to begin anew")
        if self._gate.shut:
            if not self._resting:
                self._resting, self._said = True, False
                self._rests.enter_context(self._gate.resting())
            if self.connected and not self._said:
                self._said = True
                self._say_held(Hold.PAUSED, _PAUSED)
            return
        if self._resting:
            self._resting = False
            self._rests.close()
        if self._epochs.waiting:
            self._catch_up()

    def _catch_up(self) -> None:
        """Apply what waits, unless the target is paused again meanwhile."""
        while self._epochs.waiting and not self._gate.shut:
            self._apply(check=True)
            self._settle()
        self._epochs.foresee()

    def _obey(self, order: QueueOrder) -> TargetQueue:
        kept = self._epochs.kept
        queue = self._epochs.obey(order)
        self._discarded = self._epochs.kept != kept
        self._questions.renew()
        return queue

    def _idle(self, seconds: float, why: Hold, reason: str) -> None:
        """Wait for a moment, and see that what arrives meanwhile does not become too much."""
        self._bond.step(seconds)
        if self._service.backlog.note(self, self._bond.incoming.held) != self._stopped and self.connected:
            self._stopped = not self._stopped
            self._say_held(why, reason)

    def _say_held(self, why: Hold, reason: str) -> None:
        self._reason = reason
        self._service.held(why, reason)
        if self.connected:  # what was arranged goes on without the source, too
            self._bond.send(Paused(why, reason, self._stopped))

    def _go_on(self) -> None:
        """Say so, when there is somebody to hear it."""
        if self._resting:
            if self._reason != _PAUSED:
                self._say_held(Hold.PAUSED, _PAUSED)
        elif self._reason and self.connected:
            self._reason, self._stopped = "", False
            self._bond.send(Resumed())
            self._tell_stats()

    def _commit(self, root: int) -> None:
        self._marks.clear(root)
        self._staging.clear()
        self._committing = None
        self._protocol.committed()
        self._tell_outcome()
        self._bond.send(Committed(root))

    def _root(self, root: int) -> int:
        return self._appliers.fd(self._protocol.names[root])

    def _replica(self, root: int) -> ReplicaRoot:
        name = self._protocol.names[root]
        path = os.fsencode(self._roots[name].resolve())
        return ReplicaRoot(path, is_empty(self._root(root)), self._binding.last(name))

    def _problem(self, path: bytes, reason: str) -> None:
        self._outcome.problem(path, reason)
        if self._outcome.much and self.connected:
            self._tell_outcome()

    def _tell_outcome(self) -> None:
        if (report := self._outcome.report()) is not None:
            self._bond.send(report)

    def _tell_stats(self) -> None:
        self._service.report(self._outcome.stats(self._bond.wire_bytes))
