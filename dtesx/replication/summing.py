"""What a target answers about the content of its files: which blocks differ from the source's."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from dtesx.apply.copying import basis_of
from dtesx.apply.directories import Directories
from dtesx.apply.names import check_name
from dtesx.base.log import get_logger
from dtesx.mirror.content import extents, open_regular
from dtesx.mirror.sums import BLOCK, PIECE, SEGMENT, SUM, Reader, count_of, sums_of
from dtesx.wire.errors import ProtocolError
from dtesx.wire.sums import Basis, Sums, SumsRequest

log = get_logger(__name__)

_MOST = 256
_ZEROS = bytes(BLOCK)


class Summing:
    """Answers requests one by one, in their order. ``root`` gives a descriptor of a numbered root.

    ``answer`` takes as long as reading at most 8 MiB takes (or a part that is a hole on the source).
    """

    def __init__(self, root: Callable[[int], int]) -> None:
        self._root = root
        self._directories: dict[int, Directories] = {}
        self._requests: deque[SumsRequest] = deque()
        self._reader = Reader()
        self._file: tuple[int, bytes, bytes] | None = None
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
        if request.offset < 0 or request.length < 1 or request.offset + request.length >= 1 << 63:
            raise ProtocolError("sums of an impossible part of a file were asked for")
        if request.sums and (request.length > SEGMENT or count != count_of(request.length, BLOCK)):
            raise ProtocolError("a request for sums does not fit its own length")
        check_name(request.name)
        self._requests.append(request)

    def answer(self) -> Sums:
        """The answer to the oldest request."""
        request = self._requests.popleft()
        try:
            fd = self._open(request)
            status = os.fstat(fd)
            basis = basis_of(status)
            if request.sums:
                return self._blocks(request, fd, basis)
            return Sums(request.number, basis, () if _zeros(fd, request, status.st_size) else (0,))
        except OSError as error:
            log.info("not compared", path=request.directory, name=request.name, reason=str(error))
            return Sums(request.number)

    def close(self) -> None:
        """Close everything."""
        self._forget()
        while self._directories:
            self._directories.popitem()[1].close()

    def _blocks(self, request: SumsRequest, fd: int, basis: Basis) -> Sums:
        data = self._reader.read(fd, request.offset, request.length)
        differing, fine = [], []
        for block in range(len(request.sums) // SUM):
            part = data[block * BLOCK : (block + 1) * BLOCK]
            if sums_of(part, BLOCK) != request.sums[block * SUM : (block + 1) * SUM]:
                differing.append(block)
                fine.append(sums_of(part, PIECE))
        return Sums(request.number, basis, tuple(differing), b"".join(fine))

    def _open(self, request: SumsRequest) -> int:
        wanted = (request.root, request.directory, request.name)
        # A comparison begins at offset 0: what was open under this name may have been replaced.
        if self._file != wanted or request.offset == 0:
            self._forget()
            if request.root not in self._directories:
                self._directories[request.root] = Directories(self._root(request.root))
            directory = self._directories[request.root].get(request.directory)
            self._fd, self._file = open_regular(request.name, directory.fd), wanted
        return self._fd

    def _forget(self) -> None:
        self._file = None
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
        self._fd = -1


def _zeros(fd: int, request: SumsRequest, size: int) -> bool:
    """Whether a part of a file is a hole or reads like one."""
    end = min(request.offset + request.length, size)
    for start, stop in extents(fd, end, request.offset):
        for offset in range(start, stop, BLOCK):
            data = os.pread(fd, min(BLOCK, stop - offset), offset)
            if data != _ZEROS[: len(data)]:
                return False
    return True
