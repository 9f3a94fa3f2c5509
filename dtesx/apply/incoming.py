"""The file that comes in pieces: under a temporary name until it is complete, or changed by a journal."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from dtesx.apply import metadata
from dtesx.apply.copying import Original, open_again, open_basis, write_at
from dtesx.apply.journal import Journal
from dtesx.apply.names import check_name
from dtesx.apply.staging import Staged
from dtesx.apply.workplace import NEW, Workplace
from dtesx.base.holes import punch
from dtesx.wire.errors import ProtocolError
from dtesx.wire.operations import Abort, Begin, Copy, Data, End, Hole
from dtesx.wire.piping import Blob, Piped, in_memory
from dtesx.wire.sums import Basis

_MAX_SIZE = (1 << 63) - 1
_MUCH = 8  # of a part is changed when an eighth of it is: then the file is made anew
_LITTLE = 16 << 20

Adopt = Callable[[bytes, bytes, Basis], Staged]
"""Gives what is staged of a file: directory, name, the state in which it was compared."""


@dataclass(slots=True)
class _Begun:
    """``fd`` is -1 when the file could not be begun and is being ignored.

    ``old`` is the file that pieces are copied from. ``staged`` is what was begun before already; with
    ``journal``, ``fd`` is the old file itself, which changes when all pieces are there, and with
    ``placed`` at once. ``size`` is what the file will have, about; all up to ``reached`` is known.
    """

    directory: bytes
    name: bytes
    fd: int
    temporary: bytes
    size: int = 0
    reached: int = 0
    old: Original | None = None
    journal: Journal | None = None
    staged: Staged | None = None
    placed: bool = False

    @property
    def patch(self) -> Journal | None:
        """The journal, if the old file is changed without having been asked for: because little changes."""
        return self.journal if self.staged is not None else None

    def close(self) -> None:
        """Close the files; what is still to come is ignored."""
        if self.fd >= 0 and (self.staged is None or self.staged.fd < 0):
            os.close(self.fd)
        if self.staged is not None:
            self.staged.close()
        if self.old is not None:
            self.old.close()
        self.fd, self.old = -1, None


class Incoming:
    """At most one file at a time. Methods raise OSError for the file and ProtocolError for nonsense.

    ``kept``: what is being carried out is on disk elsewhere, and will be carried out again if need be.
    """

    def __init__(self, work: Workplace, adopt: Adopt) -> None:
        self._work = work
        self._adopt = adopt
        self._begun: _Begun | None = None
        self.kept = False

    @property
    def name(self) -> bytes:
        """The begun file's name; empty when there is none."""
        return self._begun.name if self._begun is not None else b""

    def begin(self, operation: Begin, _data: memoryview) -> None:
        """Make the temporary file, or the journal. May be repeated."""
        work, name = self._work, check_name(operation.name)
        if self._begun is not None and (self._begun.fd >= 0 or self._begun.name != name):
            raise ProtocolError("a file was begun while another is under way")
        if operation.in_place and operation.basis is None:
            raise ProtocolError("a change in place of a file that was not compared")
        if not 0 <= operation.size <= _MAX_SIZE:
            raise ProtocolError(f"impossible size {operation.size}")
        self._begun = begun = _Begun(work.path, name, -1, work.temporary(), operation.size)
        if operation.basis is None:
            begun.fd = self._make(begun)
            return
        directory, basis = work.here.fd, work.basis(name, operation.basis)
        if operation.in_place and self.kept:
            begun.fd = open_again(directory, name, basis)
            begun.placed = True
        elif operation.in_place:
            self._change(begun, basis, hides=False)
        else:
            begun.staged = None if self.kept else self._adopt(work.path, name, operation.basis)
            if begun.staged is None or not begun.staged.patched or not self._patch(begun, basis):
                self._replace(begun, open_basis(directory, name, basis, writable=False))

    def _change(self, begun: _Begun, basis: Basis, *, hides: bool) -> None:
        """Have the old file changed by a journal."""
        directory = self._work.here.fd
        fd = open_basis(directory, begun.name, basis, writable=True)
        try:
            begun.journal = Journal(directory, begun.name, fd, begun.temporary, hides=hides)
        except BaseException:
            os.close(fd)
            raise
        begun.fd = fd

    def _patch(self, begun: _Begun, basis: Basis) -> bool:
        try:
            self._change(begun, basis, hides=True)
        except OSError:  # as of a program that runs: who makes a new file tells what is really wrong
            return False
        return True

    def _replace(self, begun: _Begun, old: int) -> None:
        """Have a new file that takes the old one's place. Takes the descriptor."""
        try:
            begun.fd = self._make(begun)
            begun.old = Original(old)
        except BaseException:
            os.close(old)
            raise

    def _make(self, begun: _Begun) -> int:
        """The temporary file: what is staged, by a name of its own, or a new one."""
        directory = self._work.directories.get(begun.directory).fd
        if begun.staged is None or begun.staged.fd < 0:
            fd = os.open(begun.temporary, NEW, 0o600, dir_fd=directory)
        else:
            fd, nameless = begun.staged.fd, b"/proc/self/fd/%d" % begun.staged.fd
            os.link(nameless, begun.temporary, dst_dir_fd=directory, follow_symlinks=True)
        with suppress(OSError):  # a hint: what does not fit will be told where it matters
            os.ftruncate(fd, begun.size)
        return fd

    def _make_anew(self, begun: _Begun, patch: Journal) -> None:
        """Too much changes for a journal, or content moves: a new file gets what is known so far."""
        old, original = begun.fd, Original(os.dup(begun.fd))
        try:
            new = self._make(begun)
            try:
                original.copy_now(new, min(begun.reached, os.fstat(old).st_size))
                patch.pour(new)
            except BaseException:
                os.close(new)
                os.unlink(begun.temporary, dir_fd=self._work.directories.get(begun.directory).fd)
                raise
        except BaseException:
            original.close()
            raise
        patch.drop()
        begun.journal, begun.fd, begun.old = None, new, original
        os.close(old)

    def data(self, operation: Data, data: Blob) -> None:
        """Write a piece. May be repeated."""
        begun, offset = self._expect(), operation.offset
        if offset < 0 or offset + operation.length > _MAX_SIZE:
            raise ProtocolError(f"impossible offset {offset}")
        if begun.fd < 0:
            return
        if begun.patch is not None and begun.patch.size > _LITTLE + begun.reached // _MUCH:
            self._make_anew(begun, begun.patch)
        if begun.journal is not None:
            begun.journal.data(offset, in_memory(data))
        elif isinstance(data, Piped):
            data.pour(begun.fd, offset)
        else:
            write_at(begun.fd, data, offset)
        begun.reached = max(begun.reached, offset + operation.length)
        self._work.counts.content_bytes += operation.length

    def copy(self, operation: Copy, _data: memoryview) -> None:
        """Copy a part of the file that was compared. May be repeated."""
        begun = self._expect()
        if min(operation.offset, operation.start, operation.length) < 0:
            raise ProtocolError("impossible part of a file to copy")
        if max(operation.offset, operation.start) + operation.length > _MAX_SIZE:
            raise ProtocolError("impossible part of a file to copy")
        if begun.fd < 0:
            return
        staged, moved = begun.staged, operation.start != operation.offset
        if begun.patch is not None and moved:
            self._make_anew(begun, begun.patch)
        if begun.patch is not None:
            begun.reached = max(begun.reached, operation.offset + operation.length)
            return
        if begun.old is None:
            raise ProtocolError("a copy from a file that was not compared")
        if staged is None or not staged.cloned or staged.moved or moved:
            begun.old.copy(begun.fd, operation.start, operation.offset, operation.length)

    def hole(self, operation: Hole, _data: memoryview) -> None:
        """Make a hole in the file that is changed in place. May be repeated."""
        begun = self._expect()
        if operation.offset < 0 or operation.length < 1 or operation.offset + operation.length > _MAX_SIZE:
            raise ProtocolError("impossible hole")
        if begun.fd < 0:
            return
        if begun.placed:
            punch(begun.fd, operation.offset, operation.length)
        elif begun.journal is not None and begun.staged is None:
            begun.journal.hole(operation.offset, operation.length)
        else:
            raise ProtocolError("a hole in a file that is not changed in place")

    def end(self, operation: End, _data: memoryview) -> None:
        """Give the file its size, its metadata and its name. May be repeated."""
        begun, item, work = self._expect(), operation.item, self._work
        if item.name != begun.name or item.kind != stat.S_IFREG or not 0 <= item.size <= _MAX_SIZE:
            raise ProtocolError("a file ends as another than it began")
        if begun.fd >= 0:
            self._complete(begun, item.size)
            complain = work.complain(item.name)
            metadata.settle(begun.fd, item, operation.atime_ns, os.fstat(begun.fd), complain)
            if begun.journal is not None:
                begun.journal.show()
                begun.journal.drop()
            elif not begun.placed:
                if self.kept and begun.old is not None:
                    # What it was made from goes with its name, so it cannot be made a second time.
                    os.fdatasync(begun.fd)
                here = work.directories.get(begun.directory)
                work.take_place(here, begun.temporary, begun.name)
            work.settle_flags(begun.fd, begun.name, operation.flags)
            work.made(begun.fd)
            work.counts.files += 1
        begun.close()
        self._begun = None

    def _complete(self, begun: _Begun, size: int) -> None:
        if begun.journal is not None:
            if begun.staged is not None:
                begun.staged.hollow(begun.journal.hole)
            begun.journal.carry_out(size)
            return
        if begun.old is not None:
            begun.old.finish()
        if begun.staged is not None:
            begun.staged.hollow(partial(punch, begun.fd))
        os.ftruncate(begun.fd, size)

    def abort(self, _operation: Abort, _data: memoryview) -> None:
        """The source could not read on."""
        self._expect()
        self.drop()

    def ignore(self, operation: Begin | Data | End | Abort) -> None:
        """Follow the stream in a directory that is not to be had, without doing anything."""
        if isinstance(operation, Begin):
            self._begun = _Begun(self._work.path, check_name(operation.name), -1, b"")
        elif isinstance(operation, (End, Abort)):
            self.drop()

    def give_up(self) -> None:
        """Remove what came of the begun file; what is still to come is ignored."""
        begun = self._begun
        if begun is None:
            return
        there = begun.fd >= 0 and begun.journal is None and not begun.placed
        begun.close()
        if begun.journal is not None:
            begun.journal.drop()
            begun.journal = None
        if there:
            with suppress(OSError):  # the next listing removes it
                os.unlink(begun.temporary, dir_fd=self._work.directories.get(begun.directory).fd)

    def drop(self) -> None:
        """Forget the begun file."""
        self.give_up()
        self._begun = None

    def _expect(self) -> _Begun:
        if self._begun is None:
            raise ProtocolError("a piece of a file that was not begun")
        return self._begun
