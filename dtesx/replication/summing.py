"""What a target answers about the content of its files: which blocks differ from the source's."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from dtesx.apply.copying import basis_of
from dtesx.apply.directories import Directories
from dtesx.apply.letting_go import let_go
from dtesx.apply.names import check_name
from dtesx.apply.staging import Key, Staging
from dtesx.base.log import get_logger
from dtesx.mirror.chunks import Cutter
from dtesx.mirror.content import extents, open_regular
from dtesx.mirror.sums import BLOCK, PIECE, SEGMENT, STEP, SUM, Reader, Summer, count_of
from dtesx.wire.errors import ProtocolError
from dtesx.wire.sums import Basis, Sums, SumsRequest

log = get_logger(__name__)

_MOST = 256
_ZEROS = bytes(BLOCK)


class Summing:
    """Answers requests one by one, in their order. ``root`` gives a descriptor of a numbered root.

    ``summer`` is the one that the source has. ``foreseen`` answers what is about a file that is still to
    come, or says what to look at instead.
    What differs is begun anew in ``staging``, where the source asks for it. ``answer`` takes as long
    as reading at most 8 MiB takes (or a part that is a hole on the source).
    """

    def __init__(
        self,
        root: Callable[[int], int],
        summer: Summer,
        staging: Staging,
        foreseen: Callable[[SumsRequest], SumsRequest | Sums] = lambda request: request,
    ) -> None:
        self._root = root
        self._foreseen = foreseen
        self._summer = summer
        self._staging = staging
        self._directories: dict[int, Directories] = {}
        self._requests: deque[SumsRequest] = deque()
        self._readers = deque([Reader(), Reader()])  # what one read may be written while the other reads
        self._writer: ThreadPoolExecutor | None = None
        self._cutter: Cutter | None = None  # it needs much memory, and seldom is one needed
        self._file: Key | None = None
        self._fd = -1

    @property
    def asked(self) -> bool:
        """Whether there is something to answer."""
        return bool(self._requests)

    def ask(self, request: SumsRequest) -> None:
        """Take a request; raises ProtocolError when it cannot be meant."""
        count = len(request.sums) / SUM
        if len(self._requests) >= _MOST:
            raise ProtocolError("more sums were asked for than a source ever waits for")
        first, last = sorted((0, request.shift))
        if (
            request.offset + first < 0
            or request.length < 1
            or request.offset + last + request.length >= 1 << 63
        ):
            raise ProtocolError("sums of an impossible part of a file were asked for")
        if request.sums and (request.length > SEGMENT or count != count_of(request.length, BLOCK)):
            raise ProtocolError("a request for sums does not fit its own length")
        if request.chunks and (request.sums or request.stage or request.length > SEGMENT):
            raise ProtocolError("a request for chunks asks for something else, too")
        check_name(request.name)
        self._requests.append(request)

    def answer(self) -> Sums:
        """The answer to the oldest request."""
        request = self._foreseen(self._requests.popleft())
        if isinstance(request, Sums):
            return request
        try:
            fd = self._open(request)
            basis = basis_of(os.fstat(fd))
            if request.chunks:
                return self._chunks(request, fd, basis)
            if request.sums:
                return self._blocks(request, fd, basis)
            return self._hole(request, fd, basis)
        except OSError as error:
            log.info("not compared", path=request.directory, name=request.name, reason=str(error))
            return Sums(request.number)

    def close(self) -> None:
        """Close everything; what is asked about later is opened anew."""
        self._forget()
        if self._writer is not None:
            self._writer.shutdown()
            self._writer = None
        while self._directories:
            self._directories.popitem()[1].close()

    def _blocks(self, request: SumsRequest, fd: int, basis: Basis) -> Sums:
        differing: list[int] = []
        fine: list[bytes] = []
        steps = range(0, request.length, STEP)
        with _Keeping(partial(self._keep, request), partial(self._behind, request)) as keeping:
            for step in steps:
                data, first = self._read(request, fd, step), step // BLOCK
                count = count_of(min(STEP, request.length - step), BLOCK)
                found = self._differing(data, request.sums[first * SUM : (first + count) * SUM])
                for block in found:
                    differing.append(first + block)
                    fine.append(self._summer.sums(data[block * BLOCK : (block + 1) * BLOCK], PIECE))
                self._stage(request, fd, basis, differs=bool(found))
                keeping.take(step, data, wanted=len(found) < count)
        # Where something is the same, so that there is something to be kept, all of it is.
        staged = len(keeping.left) < len(steps) and all(
            self._keep(request, step, self._read(request, fd, step)) for step in keeping.left
        )
        return Sums(request.number, basis, tuple(differing), b"".join(fine), staged)

    def _chunks(self, request: SumsRequest, fd: int, basis: Basis) -> Sums:
        if self._cutter is None:
            self._cutter = Cutter(self._summer)
        data = self._cutter.read(fd, request.offset, request.length)
        lengths = self._cutter.lengths(data)
        sums = b"".join(self._cutter.sums(data, lengths))
        return Sums(request.number, basis, fine=sums, chunks=tuple(lengths))

    def _hole(self, request: SumsRequest, fd: int, basis: Basis) -> Sums:
        differing = () if _zeros(fd, request, basis.size) else (0,)
        self._stage(request, fd, basis, differs=bool(differing))
        if request.stage:
            self._staging.hole(_key(request), request.offset, request.length)
        return Sums(request.number, basis, differing)

    def _stage(self, request: SumsRequest, fd: int, basis: Basis, *, differs: bool) -> None:
        if request.stage and differs:
            directory = self._directories[request.root].get(request.directory)
            self._staging.begin(_key(request), directory.fd, fd, basis)

    def _keep(self, request: SumsRequest, step: int, data: memoryview) -> bool:
        moved = request.shift != 0
        return request.stage and self._staging.data(_key(request), request.offset + step, data, moved=moved)

    def _behind(self, request: SumsRequest) -> ThreadPoolExecutor | None:
        """The thread for what is to be kept; None where that takes no time."""
        if not self._staging.writes(_key(request)):
            return None
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, "dtesx-stage")
        return self._writer

    def _read(self, request: SumsRequest, fd: int, step: int) -> memoryview:
        place = request.offset + request.shift + step
        self._readers.rotate()
        return self._readers[0].read(fd, place, min(STEP, request.length - step))

    def _differing(self, data: memoryview, sums: bytes) -> list[int]:
        """The numbers of the blocks that have other ``sums``, those beyond the end of ``data`` included."""
        ours = self._summer.sums(data, BLOCK)
        cuts = range(0, len(sums), SUM)
        return [at // SUM for at in cuts if ours[at : at + SUM] != sums[at : at + SUM]]

    def _open(self, request: SumsRequest) -> int:
        wanted = _key(request)
        # A comparison begins at offset 0: what was open under this name may have been replaced.
        begins = request.offset == 0 and not request.chunks
        if self._file != wanted or begins:
            self._forget()
            if begins:
                self._staging.drop(wanted)
            if request.root not in self._directories:
                self._directories[request.root] = Directories(self._root(request.root))
            directory = self._directories[request.root].get(request.directory)
            self._fd, self._file = open_regular(request.name, directory.fd), wanted
        return self._fd

    def _forget(self) -> None:
        self._file = None
        if self._fd >= 0:
            with suppress(OSError):
                let_go(self._fd)
        self._fd = -1


class _Keeping:
    """Keeps steps with ``keep``; by a thread, while the next one is read, if there is one ``behind``.

    ``left`` are those that were not kept: known when it ends.
    """

    def __init__(
        self, keep: Callable[[int, memoryview], bool], behind: Callable[[], ThreadPoolExecutor | None]
    ) -> None:
        self.left: list[int] = []
        self._keep, self._behind = keep, behind
        self._step = 0
        self._under_way: Future[bool] | None = None

    def take(self, step: int, data: memoryview, *, wanted: bool) -> None:
        """Keep a step that is wanted. ``data`` must not change before the next one is taken."""
        self._settle()
        if wanted and (thread := self._behind()) is not None:
            self._step, self._under_way = step, thread.submit(self._keep, step, data)
        elif not wanted or not self._keep(step, data):
            self.left.append(step)

    def _settle(self) -> None:
        if self._under_way is not None and not self._under_way.result():
            self.left.append(self._step)
        self._under_way = None

    def __enter__(self) -> _Keeping:
        return self

    def __exit__(self, *_: object) -> None:
        self._settle()


def _key(request: SumsRequest) -> Key:
    return request.root, request.directory, request.name


def _zeros(fd: int, request: SumsRequest, size: int) -> bool:
    """Whether a part of a file is a hole or reads like one."""
    begin = request.offset + request.shift
    for start, stop in extents(fd, min(begin + request.length, size), begin):
        for offset in range(start, stop, BLOCK):
            data = os.pread(fd, min(BLOCK, stop - offset), offset)
            if data != _ZEROS[: len(data)]:
                return False
    return True
