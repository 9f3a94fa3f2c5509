"""What is still to be sent of a source, and what is on its way: hints, kept until an epoch confirms them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dtesx.base.log import get_logger
from dtesx.model.changes import ANYTHING, Changes
from dtesx.model.epoch import Epoch, EpochKind
from dtesx.replication.continuous.blurring import blur, volume, weight
from dtesx.replication.continuous.failures import Failures
from dtesx.replication.continuous.slicing import Position

log = get_logger(__name__)

_WRITE_CALL = 60.0
"""Seconds that a single call may take to write."""

_MIRROR = 24 * 3600.0
"""Seconds before a first mirror in which an earlier one may have been interrupted."""


@dataclass
class _Sent:
    """An epoch on its way, and what it was made of: should it be lost, that is what to send again.

    ``kept``: the target has it on disk, so that what it was made of is forgotten. ``slice`` is the root
    that a slice of a mirror was sent of, and where that began.
    """

    epoch: Epoch
    changes: Mapping[str, Changes]
    slice: tuple[str, Position] | None = None
    weight: int = 0
    kept: bool = False


class Pending:
    """The changes of ``roots``: not sent yet, sent and not confirmed, failed and to be tried again.

    ``known`` is the last epoch that the target is known to have. All of it takes about ``limit`` bytes
    of memory at most: of what is more, less is known (see ``blurring``).
    """

    def __init__(self, roots: tuple[str, ...], limit: int) -> None:
        self._roots = roots
        self._limit = limit
        self._added = 0
        self._changes = {root: Changes() for root in roots}
        self._sent: deque[_Sent] = deque()
        self._failures = Failures()
        self.known: Epoch | None = None
        self.consistent: Epoch | None = None
        """The last one of them that was of one moment."""

    def __bool__(self) -> bool:
        """Whether there is something to send."""
        return any(self._changes.values())

    @property
    def waiting(self) -> int:
        """How many names are to be looked at."""
        return sum(len(names) for some in self._changes.values() for names in some.names.values())

    @property
    def failing(self) -> int:
        """How many paths failed, and wait to be tried again."""
        return self._failures.waiting

    @property
    def failed_paths(self) -> int:
        """How many paths failed, and did not succeed since: those that wait, and those being tried again."""
        return len(self._failures)

    @property
    def latest(self) -> Epoch | None:
        """The last epoch that was made, sent or confirmed."""
        return self._sent[-1].epoch if self._sent else self.known

    @property
    def on_its_way(self) -> bool:
        """Whether an epoch was sent that is not confirmed."""
        return bool(self._sent)

    def add(self, changes: Mapping[str, Changes]) -> None:
        """Changes that came later than all that is here."""
        for root, some in changes.items():
            if some:
                self._changes[root].add(some)
                self._added += weight(some)
        if self._added > self._limit // 2:
            self._bound()

    @property
    def weight(self) -> int:
        """The bytes of memory that all of it takes, at most."""
        return self._added + sum(sent.weight for sent in self._sent)

    def volume(self) -> int:
        """The bytes that are to be sent, as far as that is known."""
        return sum(map(volume, self._changes.values()))

    @property
    def blurred(self) -> bool:
        """Whether more changed than could be kept apart."""
        return any(changes.blurred for changes in self._changes.values() if changes)

    @property
    def lost_track(self) -> bool:
        """Whether so much changed that of a root it is not known any more what did."""
        return any(changes.blurred and changes.everything for changes in self._changes.values())

    def _bound(self) -> None:
        """Half of the room is for what waits, half for what is on its way."""
        self._added = sum(map(weight, self._changes.values()))
        if self._added > self._limit // 8 * 3:  # less than half, so that counting pays
            for changes in self._changes.values():
                blur(changes, self._limit // 4 // len(self._roots))
            self._added = sum(map(weight, self._changes.values()))
            log.warning("more changes wait than can be kept apart", limit=self._limit, kept=self._added)

    def take(self) -> dict[str, Changes]:
        """All that is to be sent; it has to go into ``epoch``, or back with ``add``."""
        changes, self._changes = self._changes, {root: Changes() for root in self._roots}
        self._added = 0
        return changes

    def unknown(self) -> list[str]:
        """The roots of which it is not known what changed, so that all of it may have."""
        return [root for root, changes in self._changes.items() if changes.everything]

    def mirror(self, root: str) -> bool:
        """All of a root is going to be mirrored. Whether that is because too much changed."""
        changes = self._changes[root]
        blurred = changes.blurred
        changes.everything = changes.blurred = False
        return blurred

    def taken(self, taken: float) -> Epoch:
        """All that was written before ``taken`` is in the epoch that was made last."""
        self._sent[-1].epoch = replace(self._sent[-1].epoch, taken=taken)
        return self._sent[-1].epoch

    def epoch(
        self,
        kind: EpochKind,
        taken: float,
        changes: Mapping[str, Changes],
        *,
        slice_: tuple[str, Position] | None = None,
    ) -> Epoch:
        """The next epoch, made of ``changes`` (and a slice of a mirror), from now on on its way."""
        latest = self.latest
        epoch = Epoch(latest.number + 1 if latest is not None else 1, kind, taken)
        self._sent.append(_Sent(epoch, changes, slice_))
        if changes:
            self._failures.sent(epoch.number)
        share = self._limit // 2 // len(self._sent) // len(self._roots)
        for sent in self._sent:
            if not sent.weight or sent.weight > share:
                for some in sent.changes.values():
                    blur(some, share)
                sent.weight = sum(map(weight, sent.changes.values()))
        return epoch

    def spoilt(self, epoch: Epoch) -> Epoch:
        """The latest epoch turned out to be fuzzy; returns what it is."""
        sent = self._sent[-1]
        assert sent.epoch is epoch
        sent.epoch = replace(epoch, kind=EpochKind.FUZZY)
        return sent.epoch

    def confirm(self, number: int) -> bool:
        """The target has all up to the epoch ``number``. Whether that is news."""
        before = self.known
        while self._sent and self._sent[0].epoch.number <= number:
            self._know(self._sent.popleft().epoch)
        self._failures.applied(number)
        return self.known is not before

    def _know(self, epoch: Epoch) -> None:
        self.known = epoch
        if epoch.kind is not EpochKind.FUZZY:
            self.consistent = epoch

    def kept(self, number: int) -> None:
        """The target has all up to the epoch ``number`` on disk, though it has not applied all of it."""
        for sent in self._sent:
            if sent.epoch.number <= number and not sent.kept:
                sent.kept, sent.changes, sent.weight = True, {}, 0

    def resume(self, reached: Epoch | None, waiting: Epoch | None = None) -> list[tuple[str, Position]]:
        """A new stream begins at a target that had applied ``reached`` last: what is after it is lost.

        But for what waits there to be applied, up to ``waiting``. When that is no epoch of ours, or what
        the target once had waits no more, it is not known what the target has. Returns the slices of
        mirrors that are lost.
        """
        latest = waiting or reached
        ours = latest is not None and any(
            latest.number == epoch.number
            for epoch in (self.known, *(sent.epoch for sent in self._sent))
            if epoch is not None
        )
        if reached is not None:
            self.confirm(reached.number)
        lost, later = [], self.take()
        sent, self._sent = self._sent, deque()
        for one in sent:
            if waiting is not None and one.epoch.number <= waiting.number:
                self._sent.append(one)
            elif one.kept:
                self.doubt_everything()
            else:
                self.add(one.changes)
                lost += [one.slice] if one.slice is not None else []
        self.add(later)
        if latest is not None and not ours:
            if reached is not None:
                self._know(reached)
            self._sent = deque([_Sent(waiting, {}, kept=True)] if waiting is not None else [])
            self.doubt_everything()
        return lost

    def unsure_since(self, now: float) -> int:
        """The ctime (nanoseconds) from which on files were perhaps read before all was written.

        What an epoch has of files that did not change after it is right. A write call stamps its
        file when it begins, and mapped memory may be stored to for long after the stamp, until the
        next epoch has it written back; whoever watched for that may have been killed since.
        """
        known = self.known.taken if self.known is not None else now - _MIRROR
        return int((known - _WRITE_CALL) * 1e9)

    def doubt_everything(self) -> None:
        """Nothing is known any more about what the target has."""
        for changes in self._changes.values():
            changes.everything = True

    def failed(self, path: bytes) -> None:
        """What was done about ``path`` (absolute) failed, on one side or the other."""
        self._failures.note(path)

    def retry(self, now: float) -> None:
        """Look again at what failed, when it is time; ``now`` is seconds of a monotonic clock."""
        for path in self._failures.due(now):
            self._doubt(path)

    def retry_all(self) -> None:
        """Look again at all that failed."""
        for path in self._failures.all():
            self._doubt(path)

    def _doubt(self, path: bytes) -> None:
        """Nothing is known any more about the name at ``path``."""
        root = max((root for root in self._roots if _below(path, root) is not None), key=len)
        directory, _, name = (_below(path, root) or b"").rpartition(b"/")
        if name:
            self._changes[root].touch(directory, name, ANYTHING)
        else:
            self._changes[root].everything = True


def _below(path: bytes, root: str) -> bytes | None:
    """The path relative to ``root``; None when it is not below it."""
    above = os.fsencode(root).rstrip(b"/") + b"/"
    return path[len(above) :] if (path + b"/").startswith(above) else None
