"""One connection as the target sees it: let the source in, list, apply, acknowledge, make durable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

from dtesx.apply.applying import Applier
from dtesx.apply.durable import clear_mark, distrust, set_mark, sync_file_system
from dtesx.apply.errors import RETRY_DELAY, Fate, check_broken, fate, persist
from dtesx.apply.orphans import open_beside
from dtesx.base.errors import ConnectionFailed, DtesxError, Interrupted, Refused, TargetFull
from dtesx.base.log import get_logger
from dtesx.model.stats import MirrorStats
from dtesx.replication.accepting import Guest
from dtesx.replication.listing import TargetListing
from dtesx.replication.summing import Summing
from dtesx.wire.channel import TICK
from dtesx.wire.messages import (
    Acknowledgement,
    Commit,
    Committed,
    List,
    Listing,
    Message,
    Paused,
    Welcome,
)
from dtesx.wire.operations import Operations
from dtesx.wire.protocol import PROTOCOL, TargetProtocol, failure
from dtesx.wire.sums import SumsRequest

log = get_logger(__name__)

_BUSY = "busy"
_LINGER = 5.0
_REASON = 300
_OPEN_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TargetSession:
    """Serves one source until it leaves.

    ``tick`` is called while waiting and may raise to end the session; ``report`` gets the counts
    after every frame, ``full`` the reason whenever the target is found to have no space.
    """

    def __init__(
        self,
        guest: Guest,
        *,
        tick: Callable[[], None],
        report: Callable[[MirrorStats], None],
        full: Callable[[str], None],
    ) -> None:
        self._channel = guest.channel
        self._channel.tick = tick
        self._protocol = TargetProtocol(guest.hello.roots)
        self._roots = guest.place.roots
        self._report = report
        self._full = full
        self._stack = ExitStack()
        self._fds: dict[int, int] = {}
        self._appliers: dict[int, Applier] = {}
        self._marked: set[int] = set()
        self._listing: Iterator[Listing] | None = None
        self._summing = Summing(self._root)
        self._stack.callback(self._summing.close)
        self._problems: list[tuple[bytes, str]] = []
        self._problems_total = 0
        self._applied = 0
        self._durable = 0
        self._removed = (0, 0)

    def run(self) -> None:
        """Serve; returns when the source closed after its last commit.

        Raises Refused, TargetFull, ProtocolError or another DtesxError after having told the
        source, and ConnectionFailed when the link broke.
        """
        try:
            with self._stack:
                self._serve()
        except (ConnectionFailed, Interrupted):  # who hears nothing comes back, which is right for both
            raise
        except DtesxError as error:
            self._tell(error)
            raise

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _tell(self, error: DtesxError) -> None:
        try:
            self._channel.send(failure(error))
            self._channel.linger(_LINGER)
        except DtesxError as lost:
            log.info("the source left before it could be told", reason=lost.message)

    def _serve(self) -> None:
        self._channel.send(Welcome(PROTOCOL))
        self._tell_stats()
        while True:
            listing = self._listing is not None and self._protocol.credit > 0
            frame = self._channel.poll(0.0 if listing or self._summing.asked else TICK)
            if frame is not None:
                self._handle(self._protocol.receive(frame), frame.blob, frame.sequence)
            # Not only when nothing else arrives: a source waits for sums while it sends.
            if self._summing.asked:
                self._channel.send(self._summing.answer())
            elif frame is None and listing:
                self._list_some()

    def _handle(self, message: Message, blob: memoryview, sequence: int) -> None:
        if isinstance(message, Operations):
            self._mark(message.root)
            self._applier(message.root).apply(message.operations, blob)
            self._applied = sequence
            self._acknowledge()
            self._tell_stats()
        elif isinstance(message, List):
            root = self._root(message.root)
            self._listing = TargetListing(root, message.root, self._problem, sums=message.sums).messages()
        elif isinstance(message, SumsRequest):
            self._summing.ask(message)
        elif isinstance(message, Commit):
            self._commit(message.root)

    def _acknowledge(self) -> None:
        counts = [applier.counts for applier in self._appliers.values()]
        names, size = sum(count.removed for count in counts), sum(count.removed_bytes for count in counts)
        gone = names - self._removed[0], size - self._removed[1]
        problems, self._problems, self._removed = self._problems, [], (names, size)
        self._channel.send(Acknowledgement(self._applied, self._durable, problems, *gone))

    def _hold(self, full: bool, reason: str) -> None:
        """Tell the source that an operation waits, and let it wait."""
        if full:
            self._full(f"no space is left on the target ({reason}); free some and the mirror goes on")
        self._channel.send(Paused(TargetFull.code if full else _BUSY, reason))
        self._channel.gather(RETRY_DELAY)

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
        fd, name = self._root(root), self._protocol.names[root]
        try:
            sync_file_system(fd)
            clear_mark(fd)
        except OSError as error:
            # What the kernel could not write is lost, whatever the files look like.
            with suppress(OSError):
                distrust(fd)
            check_broken(error, name)
            raise _not_durable(error) from error
        self._marked.discard(root)
        self._durable = self._applied
        self._channel.send(Committed(root))

    def _root(self, root: int) -> int:
        if root not in self._fds:
            path = self._roots[self._protocol.names[root]]
            try:
                self._fds[root] = os.open(path, _OPEN_ROOT)
            except OSError as error:
                raise Refused(
                    f"the target cannot open {path}: {error.strerror}",
                    hint="check that the replica's file systems are mounted on the target",
                ) from error
            self._stack.callback(os.close, self._fds[root])
        return self._fds[root]

    def _applier(self, root: int) -> Applier:
        if root not in self._appliers:
            path = self._roots[self._protocol.names[root]]
            self._appliers[root] = applier = Applier(
                self._root(root),
                self._problem,
                hold=self._hold,
                beside=lambda move_to: open_beside(path, move_to),
            )
            self._stack.callback(applier.close)
        return self._appliers[root]

    def _problem(self, path: bytes, reason: str) -> None:
        self._problems.append((path, reason[:_REASON]))
        self._problems_total += 1

    def _list_some(self) -> None:
        assert self._listing is not None
        listing = next(self._listing)
        self._channel.send(listing)
        self._protocol.listed(last=listing.last)
        if listing.last:
            self._listing = None

    def _tell_stats(self) -> None:
        counts = [applier.counts for applier in self._appliers.values()]
        self._report(
            MirrorStats(
                files_sent=sum(count.files for count in counts),
                bytes_sent=sum(count.content_bytes for count in counts),
                bytes_wire=self._channel.sent + self._channel.received,
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
