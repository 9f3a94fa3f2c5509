"""Large files that the target has in another state: compared block by block, while the walk goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from dtesx.mirror import content
from dtesx.mirror.chunks import Cutter
from dtesx.mirror.delta import (
    Run,
    Segment,
    check,
    ends_differing,
    is_shifted,
    pieces_of,
    runs,
    segments,
    turning_point,
)
from dtesx.mirror.diff import same_metadata
from dtesx.mirror.files import FileSender, refreshed
from dtesx.mirror.packing import Packer
from dtesx.mirror.patching import Patch
from dtesx.mirror.scan import Visit
from dtesx.mirror.shifting import Alignment, Changed, Search
from dtesx.mirror.sums import BLOCK
from dtesx.mirror.tally import Tally
from dtesx.mirror.window import Asker, Inquiry, Window
from dtesx.model.spans import Span, Spans
from dtesx.wire.items import Item
from dtesx.wire.sums import Basis, Sums

_TOGETHER = 64
"""So many parts that were written are sent as one segment."""


class MoreNeeded(OSError):
    """More of a file is to be compared or sent than can be read."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "more of it is needed than was read; it is tried again")


@dataclass(slots=True, eq=False, kw_only=True)
class _File(Inquiry):
    source: Item
    target: Item
    status: os.stat_result
    flags: int
    patch: Patch
    basis: Basis | None = None
    reached: int = 0
    partly: bool = False
    alignment: Alignment = field(default_factory=Alignment)


class Comparison:
    """Compares files and sends what differs; several are under way at once, done in their order.

    ``replaced`` gets directory and item of a file that was sent, ``failed`` also why one could not
    be read. ``pause`` is called at every segment and may raise to stop. With ``kept``, what is sent
    will be carried out later, and more than once if need be. ``bounded``: see ``mirroring.TreeMirror``.
    """

    def __init__(
        self,
        asker: Asker,
        files: FileSender,
        packer: Packer,
        tally: Tally,
        *,
        in_place: bool,
        kept: bool,
        bounded: bool,
        replaced: Callable[[bytes, Item], None],
        failed: Callable[[bytes, Item, OSError], None],
        pause: Callable[[], None],
    ) -> None:
        self._window: Window[_File] = Window(asker, self, pause)
        self._summer = asker.summer
        self._cutter: Cutter | None = None  # it needs much memory, and seldom is one needed
        self._pause = pause
        self._sender = files
        self._packer = packer
        self._tally = tally
        self._in_place = in_place or kept
        self._stages = not kept
        self._bounded = bounded
        self._replaced = replaced
        self._failed = failed
        self._after: dict[bytes, Callable[[], None]] = {}

    def add(self, visit: Visit, source: Item, target: Item, spans: Spans | None = None) -> None:
        """Take a regular file that is one on the target, too. Raises OSError when it cannot be opened.

        ``spans`` are the parts that may differ (None: all).
        """
        fd, status = content.open_with_status(source.name, visit.fd, source.link)
        try:
            flags = content.flags(fd)
        except BaseException:
            os.close(fd)
            raise
        in_place = self._in_place and not target.link  # other names may share what would be changed
        if not in_place and spans is not None:  # what is made anew needs all of it
            if self._bounded:
                os.close(fd)
                raise MoreNeeded
            spans = None
        file = _File(
            directory=visit.path,
            name=source.name,
            fd=fd,
            segments=_segments(fd, status.st_size, target.size, spans),
            there=target.size,
            stage=self._stages and not in_place,
            source=source,
            target=target,
            partly=spans is not None,
            status=status,
            flags=flags,
            patch=Patch(
                *(self._packer, self._tally, visit.path, source.name, status.st_size), in_place=in_place
            ),
        )
        self._window.add(file)

    def go_on(self) -> None:
        """Do what can be done without waiting."""
        self._window.go_on()

    def let_begin(self) -> None:
        """Return when no file is half sent, so that another may begin."""
        files = self._window.files
        while files and files[0].patch.begun:
            self._window.step(wait=True)

    def settle(self) -> None:
        """Return when all is done."""
        self._window.settle()

    def close(self) -> None:
        """Give up what is not done."""
        self._window.close()

    def after(self, directory: bytes, action: Callable[[], None]) -> None:
        """Call ``action`` when all files of ``directory`` are done, which may be now."""
        if self.busy(directory):
            self._after[directory] = action
        else:
            action()

    def busy(self, directory: bytes) -> bool:
        """Whether files of ``directory`` are not done yet."""
        return any(file.directory == directory for file in self._window.files)

    def take(self, file: _File, segment: Segment, answer: Sums | None) -> None:
        """See ``window.Handler``."""
        if answer is None:
            if file.basis is None:  # the target's file was not asked about, so it is not known
                self._whole(file)
            else:
                self._new(file, file.basis, segment)
            return
        check(segment, answer)
        basis = answer.basis
        if basis is None or basis != (file.basis or basis) or basis.size != file.there:
            self._whole(file)
            return
        file.basis = basis
        if segment.hole:
            if answer.differing:
                file.patch.hole(basis, segment.offset, segment.length)
            file.reached = segment.offset + segment.length
        else:
            self._data(file, basis, segment, answer)

    def _data(self, file: _File, basis: Basis, segment: Segment, answer: Sums) -> None:
        """A part that the target's file has, too."""
        found = runs(segment, answer, lambda at, length: os.pread(file.fd, length, at), self._summer)
        if file.stage and ends_differing(segment, answer):
            known = list(found)
            if is_shifted(segment, known):
                self._shifted(file, basis, segment, answer, known)
                return
            found = iter(known)
        self._runs(file, basis, segment, answer, found)

    def _runs(self, file: _File, basis: Basis, segment: Segment, answer: Sums, found: Iterable[Run]) -> None:
        for run in found:
            if run.data is not None:
                file.patch.data(basis, run.offset, run.data)
                continue
            start = run.offset + segment.shift
            file.alignment.found = start + run.length
            if not answer.staged:
                file.patch.same(run.offset, run.length, start)
        file.reached = segment.offset + segment.length

    def _shifted(self, file: _File, basis: Basis, segment: Segment, answer: Sums, found: list[Run]) -> None:
        """Bytes seem to have been inserted or removed: compare on with where the rest is now."""
        place, alignment = turning_point(segment, found), file.alignment
        self._runs(file, basis, segment, answer, [run for run in found if run.offset < place])
        try:
            lost = segment.offset + segment.length - place
            moved = alignment.hopeful(place) and self._search(file, basis).realign(alignment, place, lost)
        except Changed:
            self._whole(file)
            return
        if not moved:
            self._runs(file, basis, segment, answer, [run for run in found if run.offset >= place])
            return
        file.patch.begin(basis)  # even if nothing of it is new
        file.reached, size = place, file.status.st_size
        start = min(size, max(place, -alignment.shift))
        self._new(file, basis, Segment(place, start - place))
        rest = segments(
            *(content.extents(file.fd, size, start), size, start),
            shift=alignment.shift,
            most=lambda: file.most,
        )
        self._window.ask_anew(file, rest)

    def _search(self, file: _File, basis: Basis) -> Search:
        if self._cutter is None:
            self._cutter = Cutter(self._summer)
        return Search(
            *(file.fd, file.status.st_size, basis),
            ask=lambda segment: self._window.ask_chunks(file, segment),
            cutter=self._cutter,
            pause=self._pause,
        )

    def _new(self, file: _File, basis: Basis, segment: Segment) -> None:
        """A part that is sent as it is."""
        for start, end in segment.parts:
            while not segment.hole and file.reached < end:
                offset = max(file.reached, start)
                data = os.pread(file.fd, min(content.CHUNK, end - offset), offset)
                if not data:
                    return
                file.patch.data(basis, offset, data)
                file.reached = offset + len(data)
            file.reached = end

    def _whole(self, file: _File) -> None:
        """The target's file is not what it was: send ours without it."""
        if self._bounded and file.partly:
            raise MoreNeeded
        file.patch.abort()
        file.stop()
        self._sender.pieces(file.directory, file.source, file.fd, file.status, file.flags)
        self._tally.files_sent += 1
        self._replaced(file.directory, file.source)

    def complete(self, file: _File) -> None:
        """See ``window.Handler``."""
        size = file.status.st_size
        if (now := os.fstat(file.fd).st_size) < size:
            size = now if file.partly else file.reached
        if file.basis is None:
            self._whole(file)
            return
        item = refreshed(file.source, file.status, size)
        tally, patch = self._tally, file.patch
        if not patch.begun and file.basis.size == size:
            if same_metadata(item, file.target):
                tally.files_skipped += 1
            else:
                self._sender.adjusted(file.directory, item, file.flags)
                tally.files_sent += 1
            tally.bytes_skipped += size
            return
        patch.begin(file.basis)
        patch.end(item, file.status.st_atime_ns, file.flags)
        tally.files_sent += 1
        tally.bytes_skipped += max(0, size - patch.sent)
        self._replaced(file.directory, file.source)

    def failed(self, file: _File, error: OSError) -> None:
        """See ``window.Handler``."""
        file.patch.abort()
        self._failed(file.directory, file.source, error)

    def left(self, file: _File) -> None:
        """See ``window.Handler``."""
        if file.directory in self._after and not self.busy(file.directory):
            self._after.pop(file.directory)()


def _segments(fd: int, size: int, there: int, spans: Spans | None) -> Iterator[Segment]:
    if spans is None:
        yield from segments(content.extents(fd, size), size)
        return
    data, told = _Data(fd, size), list[Span]()
    for number, (start, end) in enumerate(pieces_of(spans, size, there)):
        for segment in segments(data.within(start, end), end, start):
            # Asked about first of all, the target tells which file it has. Long spans are often
            # those of a large folio, of which little was written.
            if number > 0 and not segment.hole and segment.length <= BLOCK:
                told += segment.parts
                if len(told) == _TOGETHER:
                    yield _together(told)
                    told = []
                continue
            if told:
                yield _together(told)
                told = []
            yield segment
    if told:
        yield _together(told)


def _together(told: list[Span]) -> Segment:
    return Segment(told[0][0], told[-1][1] - told[0][0], told=tuple(told))


class _Data:
    """Where a file of ``size`` bytes has data: wanted in ascending order, asked for no more than needed."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size
        self._begin = self._end = 0

    def within(self, start: int, end: int) -> Iterator[Span]:
        """The parts between ``start`` and ``end`` that are no holes."""
        while start < end:
            if not self._begin <= start < self._end:
                found = next(content.extents(self._fd, self._size, start), (self._size, self._size))
                self._begin, self._end = found
            if self._begin >= end:
                return
            yield max(start, self._begin), min(end, self._end)
            start = self._end
