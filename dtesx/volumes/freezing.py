"""Freezing file systems for a moment (fsfreeze(8)), so that all of what is read is of that moment."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import CommandFailed, DtesxError
from dtesx.base.log import get_logger
from dtesx.base.mountinfo import mounts
from dtesx.base.run import Process, spawn
from dtesx.model.replication import FreezeStats
from dtesx.volumes import guardian

log = get_logger(__name__)

_FREEZING = 30.0
_REMEMBERED = 1000
_NEVER = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM, errno.EACCES)
_GUARDIAN = Path(guardian.__file__)
_TURN = threading.Lock()


class NotFrozen(DtesxError):
    """The file systems cannot be frozen; ``message`` says why."""

    code = "not-frozen"
    recoverable = True


class CannotFreeze(NotFrozen):
    """Nor will they ever be: overlay, tmpfs and others do not know freezing, or we may not."""

    recoverable = False


@dataclass
class Moment:
    """``whole``: nothing was written between the freezing and the end of the block."""

    whole: bool = False


class Freezer:
    """Freezes the file systems behind ``directories`` (descriptors, one for each).

    A process of its own does it, and thaws them when the time is up, when it is told so, or when
    ours is gone; when it is gone itself, we do, and the next freezing has another one. For one thread.
    Raises CommandFailed.
    """

    def __init__(self, directories: Sequence[int]) -> None:
        self._directories = [os.dup(directory) for directory in directories]
        self._parting: list[Process] = []
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)
        self._times = 0
        self._most = 0.0
        self._begin()

    def _begin(self) -> None:
        """Start a guardian."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_FREEZING)
        numbers = [theirs.fileno(), *self._directories]
        with theirs:
            # -I -S: nothing but the interpreter itself and the few modules that it names.
            argv = [sys.executable, "-I", "-S", str(_GUARDIAN), *map(str, numbers)]
            self._guardian: Process = spawn(argv, pass_fds=numbers)

    def _attend(self) -> None:
        """Have a guardian: another one where this one is gone, or was given up."""
        if self._socket.fileno() >= 0 and self._guardian.poll() is None:
            return
        log.warning("the guardian of frozen file systems is gone; another one is started")
        self._socket.close()
        self._parting = [one for one in (*self._parting, self._guardian) if one.poll() is None]
        thaw_left()
        try:
            self._begin()
        except (CommandFailed, OSError) as error:
            raise NotFrozen(f"the process that freezes file systems cannot be started: {error}") from error

    @property
    def stats(self) -> FreezeStats:
        """For how long writers were held up, from the beginning of a freezing on."""
        if not self._seconds:
            return FreezeStats()
        ordered = sorted(self._seconds)
        return FreezeStats(self._times, self._seconds[-1], self._most, ordered[len(ordered) * 99 // 100])

    @contextmanager
    def frozen(self, budget: float) -> Iterator[Moment]:
        """Run the block while nothing can be written, for at most ``budget`` seconds.

        These begin with the freezing. The block must not write to these file systems itself, nor wait
        for somebody who does. Those of one process take turns: what is frozen cannot be frozen again.
        Raises NotFrozen.
        """
        with _TURN, _first(), self._frozen(budget) as moment:
            yield moment

    @contextmanager
    def _frozen(self, budget: float) -> Iterator[Moment]:
        self._attend()
        began = time.monotonic()
        self._ask(f"{budget:.6f}")
        word, _, rest = self._answer().partition(" ")
        if word == "late":
            self._held(float(rest))
            raise NotFrozen(f"freezing alone took {float(rest):.3f} s")
        if word == "refused":
            raise (CannotFreeze if int(rest) in _NEVER else NotFrozen)(
                f"the file systems cannot be frozen: {os.strerror(int(rest))}"
            )
        if word != "frozen":
            guardian.thaw(self._directories)
            raise NotFrozen("the process that freezes file systems is gone")
        moment = Moment()
        try:
            yield moment
        finally:
            self._ask("thaw")
            word, _, rest = self._answer().partition(" ")
            moment.whole = word == "thawed" if word else guardian.thaw(self._directories)
            self._held(float(rest) if word else time.monotonic() - began)

    def close(self) -> None:
        """End the guardian."""
        self._socket.close()
        for process in (*self._parting, self._guardian):
            process.wait()
        for directory in self._directories:
            os.close(directory)

    def _held(self, seconds: float) -> None:
        self._seconds.append(seconds)
        self._times += 1
        self._most = max(self._most, seconds)

    def _ask(self, request: str) -> None:
        try:
            self._socket.send(request.encode())
        except OSError:
            log.error("the guardian of frozen file systems is gone", request=request)

    def _answer(self) -> str:
        """What the guardian says; empty when it is gone, or is given up because it says nothing."""
        with suppress(OSError):
            if answer := self._socket.recv(512).decode():
                return answer
        # One that lives finds that out, thaws what it has frozen, and ends: it must not answer late.
        self._socket.close()
        return ""


def thaw_left() -> None:
    """Thaw what was left frozen by guardians that were killed together with those they watched."""
    for path in Path(guardian.MARKS).glob("*"):
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for device in map(int, mark.read().split()):
                _thaw_device(device)
            path.unlink()


def _thaw_device(device: int) -> None:
    # btrfs has other numbers in the table of mounts than for those who ask, but nowhere is one used twice.
    for mount in mounts():
        if device == mount.device or mount.type == "btrfs":
            with suppress(OSError):
                directory = os.open(mount.point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    if os.fstat(directory).st_dev == device and guardian.thaw([directory]):
                        log.warning("a file system had been left frozen", where=os.fsdecode(mount.point))
                        return
                finally:
                    os.close(directory)


@contextmanager
def _first() -> Iterator[None]:
    """Run the block before what other threads do, if we may: those that write wait for it."""
    ordinary = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(guardian.URGENT))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *ordinary)
