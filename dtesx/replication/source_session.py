"""One stream as the source sees it: greet, mirror root after root, have each made durable."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from dtesx.base.log import get_logger
from dtesx.base.retry import Backoff
from dtesx.mirror.mirroring import TreeMirror
from dtesx.mirror.packing import Packer
from dtesx.mirror.sums import Summer
from dtesx.mirror.tally import Tally, readable
from dtesx.mirror.view import View
from dtesx.mirror.window import Asker
from dtesx.model.epoch import Epoch, InsertedTask
from dtesx.model.mirror import Compare, LinkOptions, MirrorOptions
from dtesx.model.queue import QueueLimits, QueueStatus
from dtesx.model.roots import SourceRoot
from dtesx.replication.control import MirrorControl
from dtesx.replication.dialing import Dialer, Route, call
from dtesx.replication.queue.source_queue import SourceQueue
from dtesx.replication.schedule import Queued
from dtesx.replication.sent import Sent
from dtesx.replication.timetable import Timetable
from dtesx.replication.told import REASON, Told
from dtesx.wire.bond import Bond
from dtesx.wire.channel import TICK
from dtesx.wire.compression import Compressor
from dtesx.wire.frames import Frame
from dtesx.wire.limiter import Limiter
from dtesx.wire.messages import (
    Bind,
    Directory,
    EpochBegin,
    Goodbye,
    Question,
    Report,
)
from dtesx.wire.operations import Moves, Operation, Operations
from dtesx.wire.parts import Content
from dtesx.wire.protocol import SourceProtocol, greeting
from dtesx.wire.sums import Sums, SumsRequest

log = get_logger(__name__)

_STREAM_BYTES = 16
_PARTING = 5.0
_PATH = 16 << 10  # what a target tells is kept, so it must not be of any length


class SourceSession:
    """A stream to the target behind ``route``. Every method raises the error that ended it.

    Connections that are lost are made again; StreamUnknown says that the target forgot the stream.
    ``tick`` is called at least five times a second and may raise to stop; ``waits`` tells it whether
    we wait for the target or for room. While ``control`` pauses the mirror, ``mirror`` does not go on.
    With ``existing`` the target lets us in only when it has the roots. ``target`` is what it told,
    ``sent`` an account of what was sent; ``in_epoch``: one has begun and not ended.
    """

    def __init__(
        self,
        route: Route,
        *,
        job: str,
        roots: tuple[str, ...],
        existing: bool = False,
        link: LinkOptions,
        limiter: Limiter,
        tally: Tally,
        tick: Callable[[], None],
        backoff: Backoff,
        control: MirrorControl | None = None,
    ) -> None:
        limits = link.ahead or (QueueLimits() if link.plan is not None else None)
        self._queue = SourceQueue(limits) if limits is not None else None
        self._bond = Bond(
            tick=self._waiting,
            queue=link.queue,
            retention=self._queue,
            compressor=Compressor(link.compress) if link.compress else None,
            limiter=limiter,
        )
        names = tuple(readable(os.fsencode(root)) for root in roots)
        hello = greeting(job, names, secrets.token_bytes(_STREAM_BYTES), existing=existing)
        self._summer = Summer(hello.stream)
        self._dialer = Dialer(
            self._bond,
            lambda hello: call(route, hello),
            hello,
            slots=link.streams,
            backoff=backoff,
            limiter=limiter,
        )
        self._protocol = SourceProtocol()
        self._roots = roots
        self._tally = tally
        self._tick = tick
        self._control = control or MirrorControl()
        self._wire_before = tally.bytes_wire
        self._shown = b""
        self.sent = Sent()
        self.target = Told(len(roots))
        self._early = False
        self.in_epoch = False
        self.waits = True

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return bool(self._bond.slots)

    @property
    def progressed(self) -> bool:
        """Whether the target has taken something."""
        return self._bond.outgoing.applied > 0

    @property
    def queued(self) -> QueueStatus:
        """What is queued for the target, and not on its disk yet."""
        self.sent.release(self._bond.outgoing.durable)
        operations, queue = self.sent.operations(), self._queue
        if queue is None:
            return QueueStatus(self._bond.outgoing.unsettled, operations)
        on_disk = self.sent.operations(queue.on_disk)
        return QueueStatus(queue.memory_bytes, operations - on_disk, queue.disk_bytes, on_disk)

    @property
    def level(self) -> Queued:
        """The room in use of the source queue, if there is one."""
        return self._queue.level() if self._queue is not None else Queued(0, 0.0)

    def schedule(self, timetable: Timetable, behind: Queued | None = None) -> bool:
        """Hold frames back as long as the timetable says; whether they may travel.

        ``behind`` is what will be sent when no frame waits.
        """
        queued, waits = self.level, self.waits
        if behind is not None and not queued.bytes:
            queued, waits = behind, False
        sent = self._wire_before + self._bond.wire_bytes
        self._early = not timetable.look(queued, sent, waits=waits)
        self._hold_back()
        return not self._early

    def _hold_back(self) -> None:
        self._bond.held = self._early or self.target.stopped

    def greet(self) -> None:
        """Introduce ourselves; returns when the target let us in."""
        while not self.connected:
            self._bond.step(TICK)
        while not self._protocol.told:
            self._receive()

    def bind(self, index: int, seen: SourceRoot) -> None:
        """Have the target remember what root ``index`` is now."""
        self._bond.send(Bind(index, seen))

    def mirror(self, index: int, root: int, options: MirrorOptions, view: View) -> None:
        """Mirror what ``view`` has of the tree behind ``root`` (a descriptor) to the root ``index``.

        ``commit`` has it on the target's disk.
        """
        packer = self.packer(index)
        TreeMirror(
            root,
            partial(self._ask, index, options.compare is Compare.DATA, view.whole),
            self._answers(),
            packer,
            self.asker(index),
            self._tally,
            options=options,
            view=view,
            kept=self.in_epoch,
            shown=self._shown,
            pause=self._working,
        ).run()

    def begin_epoch(self) -> None:
        """What is mirrored from now on belongs to an epoch."""
        self.in_epoch = True
        self._bond.send(EpochBegin())

    def move(self, index: int, number: int, pairs: list[tuple[bytes, bytes]]) -> None:
        """Have names moved below the root ``index``; ``number`` is that of their epoch (operations.Moves)."""
        packer = self.packer(index)
        packer.add(b"", Moves(number, pairs), names=sum(len(old) + len(new) for old, new in pairs))
        packer.flush()

    def end_epoch(self, epoch: Epoch, tasks: Sequence[InsertedTask] = ()) -> None:
        """The epoch is complete; the target tells when it has carried it out.

        Then it runs ``tasks``, and tells what becomes of them.
        """
        self.in_epoch = False
        self._bond.send(self._protocol.end_epoch(epoch, tasks))

    def wait(self, seconds: float) -> None:
        """Wait, or until something has arrived."""
        if (frame := self._bond.poll(seconds)) is not None:
            self._handle(frame)

    def packer(self, index: int) -> Packer:
        """What sends operations for the root ``index``; the next ``commit`` ends it."""
        self._shown = self._roots[index].encode(errors="surrogateescape").rstrip(b"/")

        def send(operations: list[Operation], blob: list[Content]) -> None:
            self.sent.release(self._bond.outgoing.durable)
            self.sent.add(self._bond.outgoing.last + 1, self._shown, operations)
            self._bond.send(Operations(index, operations), blob)
            self._take()

        return Packer(send, self._bond.travel)

    def commit(self, index: int) -> None:
        """Return when the target has on disk what was sent for the root ``index``."""
        self._bond.send(self._protocol.commit_root(index))
        while self._protocol.committing:
            self._receive()

    def finish(self) -> None:
        """Tell the target that it may forget the stream."""
        self._dialer.close()
        self._bond.finish(Goodbye(), _PARTING)

    def close(self) -> None:
        """Close the connections."""
        self._dialer.close()
        self._bond.close()
        if self._queue is not None:
            self._queue.close()

    def listing(self, index: int, *, sums: bool = False) -> Iterator[Directory]:
        """What the target has below its root ``index``, in walking order; ``sums``: of small files."""
        self._bond.send(self._protocol.list_root(index, sums=sums))
        last = False
        while not last:
            while not self.target.listings:
                self._receive()
            listing = self.target.listings.popleft()
            last = listing.last
            yield from listing.directories
            if not last:
                self._bond.send(self._protocol.more())

    def _ask(self, index: int, sums: bool, whole: bool, directories: list[Question], last: bool) -> None:
        self._bond.send(self._protocol.ask(index, directories, last=last, sums=sums, whole=whole))

    def _answers(self) -> Iterator[int | Directory]:
        while True:
            while not self.target.answers:
                self._receive()
            yield from self.target.answers.popleft().directories
            self._bond.send(self._protocol.more())

    def asker(self, index: int) -> Asker:
        """The way to the sums of files below the target's root ``index``."""

        def ask(request: SumsRequest) -> None:
            self._bond.send(self._protocol.ask_sums(request))

        return Asker(index, self._summer, ask, self._answer)

    def _answer(self, wait: bool) -> Sums | None:
        while not self.target.sums:
            if wait:
                self._receive()
            elif (frame := self._bond.poll()) is not None:
                self._handle(frame)
            else:
                return None
        return self.target.sums.popleft()

    def _take(self) -> None:
        """Deal with what has arrived."""
        while self._bond.incoming.ready:
            self._receive()

    def _receive(self) -> None:
        """Deal with the next frame, if it comes soon; a tick may have dealt with it meanwhile."""
        frame = self._bond.poll(TICK)
        if frame is not None:
            self._handle(frame)

    def _handle(self, frame: Frame) -> None:
        message = self._protocol.receive(frame)
        self._bond.acknowledge(frame.sequence, frame.sequence)
        if isinstance(message, Report):
            self._reported(message)
        else:
            self.target.take(message)
            self._hold_back()

    def _reported(self, report: Report) -> None:
        self._tally.orphans_removed += report.removed
        self._tally.orphans_bytes += report.removed_bytes
        for path, reason in report.problems:
            self._tally.problem(self._shown + b"/" + path[:_PATH], f"on the target: {reason[:REASON]}")

    def _waiting(self) -> None:
        self.waits = True
        self._ticked()

    def _working(self) -> None:
        self.waits = False
        self._ticked()
        while self._control.paused:
            self._bond.step(TICK)
        self._bond.move()

    def _ticked(self) -> None:
        self._take()  # a target that does not go on says so while we wait for it to take something
        self._tally.bytes_wire = self._wire_before + self._bond.wire_bytes
        self._tick()
        self._dialer.maintain(patient=self._control.paused)
