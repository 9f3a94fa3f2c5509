"""What changes on a source while a replication runs: watched where the kernel can, else looked for."""

from __future__ import annotations

import errno
import os
import select
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager

from dtesx.base.log import get_logger
from dtesx.capture import changes as captured
from dtesx.capture.capture import Capture
from dtesx.capture.changes import FileId
from dtesx.capture.errors import NotWatchable
from dtesx.capture.ranges import END
from dtesx.capture.settling import await_writers, write_back, write_back_all
from dtesx.mirror.content import opened
from dtesx.mirror.directories import Directories
from dtesx.model.capture import CaptureStatus, Rung
from dtesx.model.changes import Changes, Touch
from dtesx.model.paths import join
from dtesx.model.spans import Spans, merge

log = get_logger(__name__)

_TICK = 0.2
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ELOOP)
_FEW = 64  # files; of more, the whole file system is written back at once
_CLEAN = 60.0  # seconds, after which all is


class Follower:
    """Follows ``roots`` from the time on that it is entered. Raises what ``opener`` raises.

    Changes that the processes ``ignored`` make are left out where the kernel tells who makes them. A
    thread reads what the kernel reports, so that its queue stays short whatever the rest waits for.
    """

    def __init__(
        self,
        roots: Iterable[str],
        opener: Callable[[str], AbstractContextManager[int]],
        *,
        ignored: Iterable[int] = (),
    ) -> None:
        self._roots = tuple(roots)
        self._opener = opener
        self._ignored = tuple(ignored)
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._capture: Capture | None = None
        self._fds: dict[str, int] = {}
        self._located: dict[str, dict[FileId, tuple[bytes, Spans]]] = {root: {} for root in self._roots}
        self._scanned: set[str] = set()
        self._clean_at = 0.0

    def __enter__(self) -> Follower:
        with ExitStack() as stack:
            try:
                self._capture = stack.enter_context(Capture(ignored=self._ignored))
            except NotWatchable as error:
                log.warning("changes are looked for by scans", reason=error.message)
            for root in self._roots:
                self._watch(root, stack.enter_context(self._opener(root)))
            thread = threading.Thread(target=self._collect, name="dtesx-capture", daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(self._ended.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        """What changed since the last call, or may have.

        ``still``: the file systems are frozen, so that there is nothing to write back.
        """
        with self._lock:
            self._clean_sometimes(still)
            found = self._capture.drain() if self._capture is not None else {}
            changes = {root: self._translated(root, some) for root, some in found.items()}
            for root, some in found.items():
                if not still:
                    self._settle(root, some, changes[root])
        for root in self._scanned:
            changes[root] = Changes(everything=True)
        return changes

    def status(self) -> CaptureStatus:
        """How changes are found; from any thread, and at once: a drain may take its time."""
        if self._capture is None:
            return CaptureStatus()
        told = self._capture.statistics
        rungs = [Rung.SCANS if root in self._scanned else self._capture.rung(root) for root in self._roots]
        return CaptureStatus(max(rungs), told.events, told.overflows)

    def _watch(self, root: str, fd: int) -> None:
        self._fds[root] = fd
        try:
            if self._capture is not None:
                self._capture.watch(root, fd)
                return
        except NotWatchable as error:
            log.warning("changes are looked for by scans", root=root, reason=error.message)
        self._scanned.add(root)

    def _collect(self) -> None:
        capture = self._capture
        if capture is None:
            return
        poll = select.poll()
        poll.register(capture, select.POLLIN)
        while not self._ended.is_set():
            if poll.poll(1000 * _TICK):
                with self._lock:
                    capture.collect()
                self._ended.wait(_TICK / 10)  # rather many events at once than many wakings

    def _translated(self, root: str, found: captured.Changes) -> Changes:
        changes = Changes(moved=found.moved, everything=found.lost)
        changes.inodes = {file.inode for file in found.files}
        for names, touch in (
            (found.names, Touch.METADATA),
            (found.appeared, Touch.METADATA | Touch.APPEARED | Touch.REPLACED),
            (found.written, Touch.CONTENT),
        ):
            for directory, some in names.items():
                for name in some:
                    if name:
                        changes.touch(directory, name, touch)
                    else:  # the root itself
                        changes.names.setdefault(b"", {})
        self._add_ranges(root, found.ranges, changes)
        return changes

    def _add_ranges(self, root: str, ranges: Mapping[FileId, Spans], changes: Changes) -> None:
        """Add where bytes changed, under the names that the files have now."""
        before, self._located[root] = self._located[root], {}
        for file, spans in ranges.items():
            path = self._locate(root, file, changes)
            if path:
                self._located[root][file] = path, spans
                _add_spans(changes, path, spans)
        # Who looked for them where they were at the drain before did not find them.
        for file, (earlier, spans) in before.items():
            path = self._locate(root, file, changes)
            if path and path != earlier:
                _add_spans(changes, path, spans)
                # It may be elsewhere once more before anybody looks.
                known = self._located[root].get(file, (path, ()))[1]
                self._located[root][file] = path, merge((*known, *spans))

    def _locate(self, root: str, file: FileId, changes: Changes) -> bytes | None:
        assert self._capture is not None
        try:
            path = self._capture.locate(root, file)
            if path is None and self._capture.is_nameless(root, file):
                changes.inodes.add(file.inode)
        except OSError as error:
            changes.everything |= error.errno != errno.ESTALE  # removed since
            return None
        return path

    def _clean_sometimes(self, still: bool) -> None:
        if self._capture is None or still or time.monotonic() < self._clean_at:
            return
        if self._clean_at:  # when watching began all was
            self._capture.clean()
        self._clean_at = time.monotonic() + _CLEAN

    def _settle(self, root: str, found: captured.Changes, changes: Changes) -> None:
        """Have written back what could be stored to unseen: what is written from now on is told again."""
        assert self._capture is not None
        told = self._told(root, found)
        written = [
            (directory, name)
            for directory, names in changes.names.items()
            for name, touch in names.items()
            if _is_read_whole(touch, path := join(directory, name), changes) and path not in told
        ]
        files = {**dict.fromkeys(found.files, ((0, END),)), **found.silent}
        with closing(Directories(self._fds[root])) as directories:
            if not found.arrived:
                written = [entry for entry in written if _has_content(*entry, directories)]
            many = len(files) + len(written) > _FEW or changes.everything
            kinds = [] if many else [_kind(*entry, directories) for entry in written]
            if many or stat.S_IFDIR in kinds:
                write_back_all(self._fds[root])
                return
            for file, spans in files.items():
                with _unless_gone(), self._capture.opened(root, file) as fd:
                    write_back(fd, spans)
            for (directory, name), kind in zip(written, kinds, strict=True):
                if kind == stat.S_IFREG:  # to open a device may do something
                    with _unless_gone(), opened(name, directories.get(directory)) as (fd, _):
                        write_back(fd, [(0, END)])

    def _told(self, root: str, found: captured.Changes) -> set[bytes]:
        """The paths of what is to be read whole, but of which all that is written is told.

        Waits for those who write to files of which that is true for the parts that they wrote.
        """
        assert self._capture is not None
        # They were followed where they were before.
        told = set() if found.arrived else {path for _, path in found.moved}
        for file, spans in found.ranges.items():
            if file in found.silent or file not in self._located[root]:
                continue
            path, _ = self._located[root][file]
            with _unless_gone(), self._capture.opened(root, file) as fd:
                await_writers(fd)
                status = os.fstat(fd)
                if status.st_nlink == 1 and (not status.st_size or _covered(status.st_size, spans)):
                    told.add(path)
        return told


def _covered(size: int, spans: Spans) -> bool:
    """Whether all of a file is in merged spans."""
    return bool(spans) and spans[0][0] == 0 and spans[0][1] >= size


def _stat(directory: bytes, name: bytes, directories: Directories) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directories.get(directory), follow_symlinks=False)
    except OSError:
        return None


def _kind(directory: bytes, name: bytes, directories: Directories) -> int:
    """What a name stands for (stat.S_IFMT); 0 when it is gone."""
    status = _stat(directory, name, directories)
    return stat.S_IFMT(status.st_mode) if status is not None else 0


def _has_content(directory: bytes, name: bytes, directories: Directories) -> bool:
    status = _stat(directory, name, directories)
    return status is not None and stat.S_ISREG(status.st_mode) and status.st_size > 0


def _is_read_whole(touch: Touch, path: bytes, changes: Changes) -> bool:
    """Whether all of a file may be read, whatever was told of its content.

    What appeared may have been written where nobody looked: before it had a name, or elsewhere.
    """
    return Touch.APPEARED in touch or (Touch.CONTENT in touch and path not in changes.spans)


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            log.warning("a file could not be written back", reason=error.strerror)


def _add_spans(changes: Changes, path: bytes, spans: Spans) -> None:
    """Add parts of a file that may differ; where any of it may, there is nothing to add."""
    directory, _, name = path.rpartition(b"/")
    if not spans:  # no byte, but something else
        changes.touch(directory, name, Touch.METADATA)
        return
    touch = changes.names.get(directory, {}).get(name, Touch(0))
    if path in changes.spans or Touch.CONTENT not in touch:
        changes.spans[path] = merge((*changes.spans.get(path, ()), *spans))
    changes.touch(directory, name, Touch.CONTENT)
