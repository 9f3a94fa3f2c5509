"""One stream as the target sees it: let the source in, list, apply, acknowledge, make durable."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import NoReturn

from dtesx import __version__
from dtesx.apply.durable import clear_mark, distrust, set_mark
from dtesx.apply.epochs import EpochLog
from dtesx.apply.errors import Fate, check_broken, fate, persist
from dtesx.apply.staging import Staged, Staging
from dtesx.base.errors import ConnectionFailed, DtesxError, Interrupted, TargetFull
from dtesx.base.log import get_logger
from dtesx.mirror.catalogue import catalogue_path
from dtesx.mirror.roots import is_empty
from dtesx.mirror.sums import Summer
from dtesx.model.epoch import Epoch
from dtesx.model.roots import ReplicaRoot
from dtesx.model.stats import MirrorStats
from dtesx.model.target import TargetOptions
from dtesx.replication.accepting import Guest
from dtesx.replication.answering import Answering
from dtesx.replication.appliers import Appliers
from dtesx.replication.backlog import Backlog
from dtesx.replication.durability import Durability
from dtesx.replication.epochs import Epochs
from dtesx.replication.listing import TargetListing
from dtesx.replication.summing import Summing
from dtesx.wire.bond import Bond
from dtesx.wire.channel import TICK
from dtesx.wire.frames import Frame
from dtesx.wire.messages import (
    Ask,
    Bind,
    Commit,
    Committed,
    EpochApplied,
    EpochBegin,
    EpochEnd,
    Goodbye,
    Hold,
    List,
    Listing,
    Message,
    Paused,
    Replicas,
    Report,
    Resumed,
    Welcome,
)
from dtesx.wire.operations import Operations
from dtesx.wire.protocol import PROTOCOL, TargetProtocol, failure
from dtesx.wire.stream import WINDOW
from dtesx.wire.sums import Basis, SumsRequest

log = get_logger(__name__)

_LINGER = 5.0
_KEEP = 900.0
_REASON = 300
_PATH = 16 << 10
_REPORT = 256 << 10
_PAUSED = "the target is paused"


class TargetSession:
    """Serves one stream of a source until its end.

    ``tick`` is called while waiting and may raise to end the session; ``report`` gets the counts
    after every frame, ``held`` why the target does not go on, and a reason for people. When its
    connections are lost, the session waits for the source to come back.
    """

    def __init__(
        self,
        guest: Guest,
        *,
        tick: Callable[[], None],
        report: Callable[[MirrorStats], None],
        held: Callable[[Hold, str], None],
        options: TargetOptions,
        backlog: Backlog,
    ) -> None:
        self._tick = tick
        self._bond = Bond(tick=self._waiting, queue=WINDOW)
        self.stream = guest.hello.stream
        self._protocol = TargetProtocol(guest.hello.roots)
        self._roots = guest.place.roots
        self._catalogue = guest.place.catalogue
        self._binding = guest.place.binding
        self._stack = ExitStack()
        self._staging = Staging()
        self._stack.callback(self._staging.clear)
        self._appliers = self._stack.enter_context(
            Appliers(self._roots.__getitem__, self._problem, self._hold, self._adopt)
        )
        self._epochs = Epochs(
            EpochLog(guest.place.epochs), self._appliers, self._hold, root=self._present, beat=self._beat
        )
        self._stack.callback(self._epochs.close)
        self._report = report
        self._held = held
        self._holding = False
        self._retry_delay = options.retry_delay
        self._backlog = backlog
        self._stopped = False
        self._gate = guest.place.gate
        self._stack.callback(backlog.note, self, 0)
        self._marked: set[int] = set()
        self._listing: Iterator[Listing] | None = None
        self._answering: Answering | None = None
        self._summing = Summing(self._root, Summer(self.stream), self._staging)
        self._stack.callback(self._summing.close)
        self._problems: list[tuple[bytes, str]] = []
        self._problems_total = 0
        self._unreported = 0
        self._removed = (0, 0)
        self._durability = Durability(self._bond.wake)
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
                self._stack.callback(self._end_answering)
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
        self._bond.send(Replicas(replicas, self._epochs.last))
        self._tell_stats()
        while not self._ended:
            self._rest()
            telling = self._has_to_tell() and self._protocol.credit > 0
            frame = self._bond.poll(0.0 if telling or self._summing.asked else TICK)
            if frame is not None:
                self._handle(self._protocol.receive(frame), frame)
                self._go_on()
            # Not only when nothing else arrives: a source waits for sums while it sends.
            if self._summing.asked:
                self._bond.send(self._summing.answer())
            elif frame is None and telling:
                self._tell_some()
            self._settle()

    def _handle(self, message: Message, frame: Frame) -> None:
        if isinstance(message, Operations) and self._epochs.arriving:
            self._epochs.add(frame)
            self._durability.applied(frame.sequence, frame.size, self._epochs.fd)
        elif isinstance(message, EpochBegin):
            self._epochs.begin(self._protocol.names)
            self._durability.applied(frame.sequence, 0)
        elif isinstance(message, EpochEnd):
            self._end_epoch(message.epoch, frame.sequence)
        elif isinstance(message, Operations):
            self._mark(message.root)
            self._appliers.of(self._protocol.names[message.root]).apply(message.operations, frame.blob)
            self._durability.applied(frame.sequence, frame.size, self._root(message.root))
            self._tell_outcome()
            self._tell_stats()
        else:
            self._durability.applied(frame.sequence, 0)
            self._answer(message)

    def _end_epoch(self, epoch: Epoch, sequence: int) -> None:
        self._epochs.end(epoch, sequence)
        # It is kept until they are synced, which may take its time.
        for fd in self._appliers.working or [self._epochs.fd]:
            self._durability.applied(sequence, 0, fd)
        self._tell_outcome()
        self._bond.send(EpochApplied(epoch.number))
        self._tell_stats()

    def _present(self, name: str) -> str:
        """The name of a root now. Where a place holds one tree, another path is another path of that tree."""
        names = self._protocol.names
        return names[0] if len(names) == 1 else name

    def _beat(self) -> None:
        self._bond.step(0.0)  # a source that hears nothing for long takes us for dead

    def _adopt(self, root: str, directory: bytes, name: bytes, basis: Basis) -> Staged:
        return self._staging.adopt((self._protocol.names.index(root), directory, name), basis)

    def _answer(self, message: Message) -> None:
        """Deal with what changes no file."""
        if isinstance(message, Ask):
            self._asked(message)
        elif isinstance(message, List):
            root = self._root(message.root)
            self._listing = TargetListing(root, message.root, self._problem, sums=message.sums).messages()
        elif isinstance(message, SumsRequest):
            self._summing.ask(message)
        elif isinstance(message, Bind):
            self._binding.bind(replace(message.seen, path=self._protocol.names[message.root]))
        elif isinstance(message, Commit):
            self._committing = message
            self._durability.commit(self._root(message.root))
        elif isinstance(message, Goodbye):
            self._ended = True

    def _settle(self) -> None:
        """See what has become durable meanwhile, and whether anybody is still there."""
        self._backlog.note(self, self._bond.incoming.held)
        durability = self._durability
        try:
            durability.look()
        except OSError as error:
            self._distrust(error)
        if self._committing is not None and durability.idle:
            self._commit(self._committing.root)
        self._epochs.settle(durability.durable)
        self._bond.acknowledge(durability.last, durability.durable)

    def _waiting(self) -> None:
        self._tick()
        if self.connected:
            self._abandoned = 0.0
        elif not self._abandoned:
            self._abandoned = time.monotonic()
        elif time.monotonic() - self._abandoned > _KEEP:
            raise ConnectionFailed("the source did not come back")

    def _distrust(self, error: OSError) -> NoReturn:
        """What the kernel could not write is lost, whatever the files look like."""
        committing = set() if self._committing is None else {self._committing.root}
        for root in self._marked | committing:
            with suppress(OSError):
                distrust(self._root(root))
        check_broken(error, ", ".join(self._protocol.names))
        raise _not_durable(error) from error

    def _tell_outcome(self) -> None:
        counts = self._appliers.counts()
        names, size = sum(count.removed for count in counts), sum(count.removed_bytes for count in counts)
        gone = names - self._removed[0], size - self._removed[1]
        if self._problems or gone != (0, 0):
            problems, self._problems, self._removed = self._problems, [], (names, size)
            self._unreported = 0
            self._bond.send(Report(problems, *gone))

    def _hold(self, full: bool, reason: str) -> None:
        """Tell the source that an operation waits, and let it wait."""
        why, reason = Hold.FULL if full else Hold.BUSY, reason[:_REASON]
        self._say_held(why, reason)
        deadline = time.monotonic() + self._retry_delay
        while (left := deadline - time.monotonic()) > 0:
            self._idle(left, why, reason)
        self._rest()

    def _rest(self) -> None:
        """Do nothing for the source while the target is paused."""
        if not self._gate.shut:
            return
        with self._gate.resting():
            said = False
            while self._gate.shut:
                if self.connected and not said:
                    said = True
                    self._say_held(Hold.PAUSED, _PAUSED)
                self._idle(TICK, Hold.PAUSED, _PAUSED)
                self._settle()
        self._go_on()

    def _idle(self, seconds: float, why: Hold, reason: str) -> None:
        """Wait for a moment, and see that what arrives meanwhile does not become too much."""
        self._bond.step(seconds)
        if self._backlog.note(self, self._bond.incoming.held) != self._stopped and self.connected:
            self._stopped = not self._stopped
            self._say_held(why, reason)

    def _say_held(self, why: Hold, reason: str) -> None:
        self._holding = True
        self._held(why, reason)
        self._bond.send(Paused(why, reason, self._stopped))

    def _go_on(self) -> None:
        if self._holding:
            self._holding = self._stopped = False
            self._bond.send(Resumed())
            self._tell_stats()

    def _mark(self, root: int) -> None:
        if root in self._marked:
            return
        fd, name = self._root(root), self._protocol.names[root]
        try:
            set_mark(fd)
        except OSError as error:
            if (lasting := persist(lambda: set_mark(fd), error, name, self._hold)) is not None:
                raise _not_durable(lasting) from lasting
        self._marked.add(root)

    def _commit(self, root: int) -> None:
        try:
            clear_mark(self._root(root))
        except OSError as error:
            raise _not_durable(error) from error
        self._marked.discard(root)
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
        self._problems.append((path[:_PATH], reason[:_REASON]))
        self._problems_total += 1
        self._unreported += len(path[:_PATH]) + len(reason[:_REASON])
        if self._unreported >= _REPORT:
            self._tell_outcome()

    def _has_to_tell(self) -> bool:
        return self._listing is not None or (self._answering is not None and self._answering.waiting)

    def _tell_some(self) -> None:
        if self._listing is not None:
            listing = next(self._listing)
            self._bond.send(listing)
            self._protocol.listed(last=listing.last)
            if listing.last:
                self._listing = None
        elif self._answering is not None:
            answer = self._answering.answer()
            self._bond.send(answer)
            self._protocol.told(answer)
            self._all_told(self._answering)

    def _asked(self, message: Ask) -> None:
        if self._answering is None:
            root, file = self._root(message.root), None
            if self._catalogue is not None:
                file = catalogue_path(self._catalogue, self._protocol.names[message.root])
            self._answering = Answering(root, message.root, self._problem, file, sums=message.sums)
        self._answering.ask(message)
        self._all_told(self._answering)

    def _all_told(self, answering: Answering) -> None:
        if self._protocol.all_told():
            answering.keep()
            self._end_answering()

    def _end_answering(self) -> None:
        if self._answering is not None:
            self._answering.close()
            self._answering = None

    def _tell_stats(self) -> None:
        counts = self._appliers.counts()
        self._report(
            MirrorStats(
                files_sent=sum(count.files for count in counts),
                bytes_sent=sum(count.content_bytes for count in counts),
                bytes_wire=self._bond.wire_bytes,
                orphans_removed=self._removed[0],
                orphans_bytes=self._removed[1],
                problems_total=self._problems_total,
            )
        )


def _not_durable(error: OSError) -> DtesxError:
    if fate(error) is Fate.FULL:
        return TargetFull(
            "no space is left on the target: it could not write what it had taken",
            hint="free space on the target or enlarge the replica's disk, then start the mirror again",
        )
    return DtesxError(
        f"the target cannot make its files durable: {error.strerror}",
        hint="look at the target's kernel log (dmesg)",
    )
