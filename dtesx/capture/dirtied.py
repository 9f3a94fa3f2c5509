"""Which bytes of files change, by eBPF programs in the kernel."""

from __future__ import annotations

import os
import struct
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

from dtesx.base.log import get_logger
from dtesx.capture.changes import FileId
from dtesx.capture.errors import NotWatchable
from dtesx.capture.libbpf import Drain, Programs, delete, look_up, update
from dtesx.capture.ranges import KEY, PAGE, REQUEST, VALUE, Marks, unpack, unpack_requests
from dtesx.model.spans import Spans, merge

log = get_logger(__name__)

_DONE = "direct_done"
_BASE = frozenset(("folio_dirtied", "direct_begins", _DONE))
_STRUCTURE = {
    "ext4": frozenset(("ext4_punched", "ext4_zeroed", "ext4_collapsed", "ext4_inserted", "ext4_truncated")),
    "xfs": frozenset(("xfs_freed", "xfs_collapsed", "xfs_inserted", "xfs_truncated", "xfs_remapped")),
}
# Where these are there, too, write calls are told by their bytes, and not by the folios that they make dirty;
# and of whatever else changes a file it is told that it did.
_CALLS = {
    "ext4": frozenset(("ext4_written_later", "ext4_written", "ext4_written_twice", "ext4_touched")),
    "xfs": frozenset(("xfs_writes", "xfs_attributes_set", "xfs_flags_set", "xfs_allocated", "xfs_zeroed")),
}
_FAULTS = frozenset(("file_faulted", "file_mapped"))
# The best first. A file system whose module is not loaded has no tracepoints, nor has an older kernel all.
_SETS = tuple(
    (kinds, calls)
    for calls in (True, False)
    for kinds in (("ext4", "xfs"), ("ext4",), ("xfs",), ())
    if kinds or not calls
)
_NUMBER = struct.Struct("=I")
_COUNT = struct.Struct("=Q")
_ZERO = _NUMBER.pack(0)
_MAPS = ("first", "second")
_PARTLY = ("one", "other")
_NOW, _BEFORE = _NUMBER.pack(0), _NUMBER.pack(1)
MOST_RANGES = 1 << 17
"""So many chunks may change until a drain (some 15 MB for each of two maps); beyond, changes are lost."""
_MOST_PARTLY = 1 << 16  # inodes (4 MB for each of two maps); of more, whole folios count
_PLAIN, _BTRFS = 1, 2
_FULL, _BUSY = 0, 1
_LOST = (
    "the kernel's map of byte ranges is full",
    "the kernel's map of byte ranges was locked for too long",
    "a program of ours was interrupted by what it watches",
)
_MINOR_BITS = 20  # linux/kdev_t.h


@dataclass(frozen=True)
class Dirtied:
    """What was drained: by file, the bytes that changed; ``lost`` says why others did, too ("": none).

    Of a file without bytes something else changed.

    Those that are ``silent`` have to be written back before they are read: until then, stores into a
    mapping are not told.
    """

    ranges: dict[FileId, Spans]
    silent: dict[FileId, Spans]
    lost: str = ""


class DirtyRanges:
    """The programs at work. For one thread. Raises NotWatchable where the kernel refuses them.

    ``structured`` are the types of file systems on which the programs also see what moves or removes
    blocks (punching, cutting off, sharing); elsewhere only what is written. On those in ``exact`` write
    calls are told by their bytes, elsewhere all of the folios count that they make dirty; and files are
    told of which no byte changed, but something else.
    """

    def __init__(self, ignored: Iterable[int] = ()) -> None:
        if os.sysconf("SC_PAGESIZE") != PAGE:
            raise NotWatchable("pages are not of 4 KiB here", hint="ranges are known for such kernels only")
        self._programs, self.structured, self.exact = _load()
        self._drain = Drain(KEY.size, VALUE.size)
        self._idle, self._active = (self._programs.map(name) for name in reversed(_MAPS))
        self._cleaner = Drain(_COUNT.size, _NUMBER.size)
        self._requests = Drain(_COUNT.size, REQUEST.size, leaving=True)
        self._before, self._now = (self._programs.map(name) for name in reversed(_PARTLY))
        self._reported = self._lost_until_now()
        for process in ignored:
            update(self._programs.map("ignored"), _NUMBER.pack(process), _NUMBER.pack(1))

    def close(self) -> None:
        """Detach the programs."""
        self._programs.close()

    def watch(self, device: int, kind: str) -> None:
        """Mark what is written in the file system with this device number and of this type."""
        value = _NUMBER.pack(_BTRFS if kind == "btrfs" else _PLAIN)
        update(self._programs.map("devices"), _NUMBER.pack(_inside(device)), value)

    def forget(self, device: int) -> None:
        """Mark no more in the file system with this device number."""
        delete(self._programs.map("devices"), _NUMBER.pack(_inside(device)))

    def drain(self) -> Dirtied:
        """What changed since the last time. Raises OSError."""
        # When the update is done, nobody adds to the old map any more (bpf(2), RCU).
        update(self._programs.map("active"), _ZERO, _NUMBER.pack(self._idle))
        self._idle, self._active = self._active, self._idle
        marks: Marks = {}
        silent: Marks = {}
        for keys, values in self._drain.take(self._idle):
            unpack(keys, values, marks, silent)
        before, self._reported = self._reported, self._lost_until_now()
        if self._reported[_DONE] != before[_DONE]:
            # Among these are those of which we were not told that they are done, unless we were since.
            for _, requests in self._requests.take(self._programs.map("requests")):
                unpack_requests(requests, marks)
        lost = ", ".join(why for why in _LOST if self._reported[why] != before[why])
        return Dirtied(_files(marks), _files(silent), lost)

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """In this context all that is dirty in the watched file systems is written back. Raises OSError.

        Now and then: the programs know of a bounded number of files which of their pages are dirty.
        """
        partly = self._programs.map("partly")
        update(partly, _BEFORE, _NUMBER.pack(self._now))
        update(partly, _NOW, _NUMBER.pack(self._before))
        self._before, self._now = self._now, self._before
        yield
        deque(self._cleaner.take(self._before), maxlen=0)

    def _lost_until_now(self) -> Counter[str]:
        """How often something was not told, by its reason; and by _DONE where it can be told nevertheless."""
        lost = self._programs.map("lost")
        counts = Counter(self._programs.misses)
        missed = counts.total() - counts[_DONE]
        told = [_COUNT.unpack(look_up(lost, _NUMBER.pack(why), _COUNT.size))[0] for why in (_FULL, _BUSY)]
        return Counter({_DONE: counts[_DONE], **dict(zip(_LOST, (*told, missed), strict=True))})


def _load() -> tuple[Programs, frozenset[str], frozenset[str]]:
    try:
        code = files(__package__).joinpath("bpf", "ranges.bpf.o").read_bytes()
    except FileNotFoundError as error:
        raise NotWatchable(
            "this dtesx was built without its eBPF programs", hint="build it where clang and libbpf-dev are"
        ) from error
    refusal = NotWatchable("")
    for kinds, calls in _SETS:
        try:
            names = _BASE.union(*(_STRUCTURE[kind] for kind in kinds))
            if calls:
                names = names.union(_FAULTS, *(_CALLS[kind] for kind in kinds))
            sizes = dict.fromkeys(_MAPS, MOST_RANGES) | dict.fromkeys(_PARTLY, _MOST_PARTLY)
            return Programs(code, names, sizes), frozenset(kinds), frozenset(kinds if calls else ())
        except NotWatchable as error:
            refusal = error
    raise refusal


def _files(marks: Marks) -> dict[FileId, Spans]:
    return {_file(*key): merge(spans) for key, spans in marks.items()}


def _file(inode: int, root: int, device: int, generation: int) -> FileId:
    return FileId(_outside(device), root, inode, generation)


def _inside(device: int) -> int:
    """A device number as the kernel counts it in itself."""
    return os.major(device) << _MINOR_BITS | os.minor(device)


def _outside(device: int) -> int:
    return os.makedev(device >> _MINOR_BITS, device & (1 << _MINOR_BITS) - 1)
