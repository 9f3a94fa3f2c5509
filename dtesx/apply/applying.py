"""Carrying out operations below one root. The peer's word is checked; a failing path is only told."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from dtesx import batch
from dtesx.apply import flags, metadata
from dtesx.apply.errors import Hold, persist
from dtesx.apply.incoming import Adopt, Incoming
from dtesx.apply.making import Maker
from dtesx.apply.moving import Mover
from dtesx.apply.names import check_name
from dtesx.apply.orphans import Orphans, Protection
from dtesx.apply.workplace import Counts, Workplace
from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import SETTABLE_FLAGS, TEMPORARY_PREFIX
from dtesx.wire.operations import (
    Abort,
    Adjust,
    Begin,
    Copy,
    Data,
    End,
    Enter,
    Finish,
    Hole,
    Link,
    Make,
    Moves,
    Operation,
    Protect,
    Put,
    Remove,
)
from dtesx.wire.piping import Blob, Piped

_EMPTY = memoryview(b"")
# A new directory is unseen, and lost if the process is killed, for at most so many frames (1 MiB each).
_UNSEEN_FRAMES = 64


class Applier:
    """Applies operations below ``root`` (a directory descriptor), one after the other.

    ``problem`` gets path and reason of what failed for one path. ``hold`` waits when an operation
    fails for want of space or for another passing reason; then it is repeated. ``beside`` opens the
    directory that orphans are moved to, by the name the source gives it; ``protection`` knows what
    rules mean; ``adopt`` gives what is staged of a file that is made anew.

    ``apply`` raises DtesxError when the file system failed, ProtocolError when the peer asks for
    something impossible, and what ``hold`` raises; afterwards only ``close`` may be called.
    """

    def __init__(
        self,
        root: int,
        problem: Callable[[bytes, str], None],
        *,
        hold: Hold,
        beside: Callable[[bytes], int],
        protection: Protection,
        adopt: Adopt,
    ) -> None:
        self._problem = problem
        self._hold = hold
        self._work = Workplace(root, problem)
        self._incoming = Incoming(self._work, adopt)
        self._orphans = Orphans(self._work, beside, protection)
        self._reachable = True
        self._stale = False
        self._frames = 0
        self._again = False
        self._tidied: set[bytes] = set()
        maker, self._mover = Maker(self._work), Mover(self._work)
        self._handlers: dict[type[Operation], Callable[..., None]] = {
            Make: maker.make,
            Put: maker.put,
            Link: maker.link,
            Adjust: maker.adjust,
            Begin: self._incoming.begin,
            Data: self._incoming.data,
            Copy: self._incoming.copy,
            Hole: self._incoming.hole,
            End: self._incoming.end,
            Abort: self._incoming.abort,
            Protect: self._orphans.protect,
            Remove: self._orphans.remove,
            Finish: self._finish,
            Moves: self._move,
        }

    @property
    def counts(self) -> Counts:
        """What was carried out up to now."""
        return self._work.counts

    def apply(
        self, operations: list[Operation], content: Blob, *, kept: bool = False, again: bool = False
    ) -> None:
        """Carry out the operations of one frame; ``content`` must be exactly theirs.

        ``kept``: whatever becomes of this process, they will be carried out again until all of them
        are on disk. ``again``: they were carried out before, up to any point.
        """
        self._again = self._work.again = again
        self._incoming.kept = kept
        contents = _Contents(operations, content)
        number = 0
        while number < len(operations):
            if made := self._many(operations, number, contents):
                number += made
                continue
            operation = operations[number]
            number += 1
            if isinstance(operation, Enter):
                self._enter(operation.path)
                continue
            data = contents.of(operation)
            if self._stale:
                self._enter(self._work.path)
            if self._reachable:
                self._one(operation, data)
            elif isinstance(operation, (Begin, Data, End, Abort)):
                self._incoming.ignore(operation)
        contents.end()

    def settled(self) -> None:
        """All that was ``kept`` is on disk here, and will not be carried out again. Raises OSError."""
        self._mover.settled()
        self._work.settled()

    def close(self) -> None:
        """Drop what is unfinished and close everything."""
        self._incoming.drop()
        if self._work.unseen:
            with suppress(OSError):  # the next listing removes it
                self._work.show()
        self._orphans.close()
        self._work.close()

    def _many(self, operations: list[Operation], number: int, contents: _Contents) -> int:
        """Make what is new from operation ``number`` on; returns how many were made."""
        work = self._work
        here = work.here
        if not work.unseen or here.inherits or self._stale or not self._reachable:
            return 0
        if batch.native is None or self._again:
            return 0
        own = (os.geteuid(), here.gid)
        done, end = batch.native.put(
            *(here.fd, operations, number, Put, Make, contents.memory, contents.at),
            *(*own, SETTABLE_FLAGS, TEMPORARY_PREFIX),
        )
        work.counts.files += done
        work.counts.content_bytes += end - contents.at
        contents.at = end
        return done

    def _one(self, operation: Operation, data: Blob) -> None:
        try:
            self._handlers[type(operation)](operation, data)
        except OSError as error:
            self._recover(operation, data, error)
        except (OverflowError, ValueError) as error:  # Python's word for what no system call takes
            raise ProtocolError(f"an operation with an impossible argument: {error}") from error

    def _recover(self, operation: Operation, data: Blob, error: OSError) -> None:
        """Repeat an operation that failed, until it is done or told as a problem of its path."""
        action = partial(self._handlers[type(operation)], operation, data)
        path = self._work.below(_name_of(operation) or self._incoming.name)
        here, name = self._work.here.fd, _name_of(operation) or b"."
        if isinstance(error, PermissionError) and flags.take_off(here, name):
            try:
                return action()
            except OSError as again:
                error = again
        if (lasting := persist(action, error, _shown(path), self._hold)) is not None:
            self._problem(path, lasting.strerror or str(lasting))
            if isinstance(operation, (Data, Copy, Hole)):
                self._incoming.give_up()
            elif isinstance(operation, End):
                self._incoming.drop()
        return None

    def _enter(self, path: bytes) -> None:
        work = self._work
        if work.unseen:
            self._frames += 1
            if path != work.path or self._frames > _UNSEEN_FRAMES:
                self._show()
        if path != work.path:
            self._frames = 0
        self._stale = False
        reason = self._attempt(path, partial(work.enter, path))
        self._reachable = reason is None
        if reason is not None:
            self._problem(path, f"{reason} on the target; what is below it was left out")
        elif self._again and path not in self._tidied:
            self._tidied.add(path)
            self._attempt(path, work.tidy)

    def _show(self) -> None:
        """Give the new directory its name: its own files are in it, or it has been unseen for long."""
        work = self._work
        reason = self._attempt(work.path, work.show)
        if reason is not None:
            self._problem(work.path, f"{reason} on the target; start the mirror again")

    def _attempt(self, path: bytes, action: Callable[[], None]) -> str | None:
        """Carry out, repeatedly if there is hope; returns the reason why it failed for good."""
        try:
            action()
        except OSError as error:
            lasting = persist(action, error, _shown(path), self._hold)
            return None if lasting is None else lasting.strerror or str(lasting)
        return None

    def _move(self, operation: Moves, _data: memoryview) -> None:
        if not self._incoming.kept:
            raise ProtocolError("names are moved outside of an epoch")
        self._stale = True
        self._mover.moves(operation)

    def _finish(self, operation: Finish, _data: memoryview) -> None:
        """The directory's own metadata, when everything in it and below it is done."""
        item, work = operation.item, self._work
        if item.kind != stat.S_IFDIR:
            raise ProtocolError("a directory is finished as something else")
        if work.unseen:
            work.show()
        metadata.settle_directory(work.here.fd, item, operation.flags, work.complain(b""))
        work.directories.release(work.path)
        self._stale = True


class _Contents:
    """The content of a frame, handed out in the order of its operations. Raises ProtocolError."""

    def __init__(self, operations: list[Operation], content: Blob) -> None:
        self.at = 0
        self._piped: Piped | None = None
        if not isinstance(content, Piped):
            self.memory = content
            return
        pieces = [operation for operation in operations if isinstance(operation, (Put, Data))]
        if len(pieces) == 1 and isinstance(pieces[0], Data) and pieces[0].length == len(content):
            self.memory, self._piped = _EMPTY, content
        else:
            self.memory = content.memory()

    def of(self, operation: Operation) -> Blob:
        """What belongs to the next operation."""
        if not isinstance(operation, (Put, Data)):
            return _EMPTY
        if self._piped is not None:
            piped, self._piped = self._piped, None
            return piped
        size = operation.item.size if isinstance(operation, Put) else operation.length
        begin, self.at = self.at, self.at + size
        if size < 0 or self.at > len(self.memory):
            raise ProtocolError("an operation names more content than its frame holds")
        return self.memory[begin : self.at]

    def end(self) -> None:
        """There are no more operations."""
        if self.at != len(self.memory) or self._piped is not None:
            raise ProtocolError("a frame holds content that no operation names")


def _name_of(operation: Operation) -> bytes:
    if isinstance(operation, (Make, Put, End, Adjust)):
        return check_name(operation.item.name)
    if isinstance(operation, (Begin, Link, Remove)):
        return operation.name
    return b""


def _shown(path: bytes) -> str:
    return path.decode(errors="backslashreplace") or "the root"
