"""Freezing file systems for a moment (fsfreeze(8)), so that all of what is read is of that moment."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import DtesxError
from dtesx.base.log import get_logger
from dtesx.base.run import Process, spawn
from dtesx.volumes import guardian

log = get_logger(__name__)

_FREEZING = 30.0
_GUARDIAN = Path(guardian.__file__)


class NotFrozen(DtesxError):
    """The file systems cannot be frozen; ``message`` says why."""

    code = "not-frozen"
    recoverable = True


@dataclass
class Moment:
    """``whole``: nothing was written between the freezing and the end of the block."""

    whole: bool = False


class Freezer:
    """Freezes the file systems behind ``directories`` (descriptors, one for each).

    A process of its own does it, and thaws them when the time is up, when it is told so, or when
    ours is gone; when it is gone itself, we do. For one thread. Raises CommandFailed.
    """

    def __init__(self, directories: Sequence[int]) -> None:
        self._directories = [os.dup(directory) for directory in directories]
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = [theirs.fileno(), *self._directories]
        with theirs:
            # -I -S: nothing but the interpreter itself and the few modules that it names.
            argv = [sys.executable, "-I", "-S", str(_GUARDIAN), *map(str, numbers)]
            self._guardian: Process = spawn(argv, pass_fds=numbers)
        self._socket.settimeout(_FREEZING)

    @contextmanager
    def frozen(self, budget: float) -> Iterator[Moment]:
        """Run the block while nothing can be written, for at most ``budget`` seconds.

        The block must not write to these file systems itself. Raises NotFrozen.
        """
        self._ask(f"{budget:.3f}")
        answer = self._answer()
        if answer != "frozen":
            if not answer:
                guardian.thaw(self._directories)
                answer = "the process that does it is gone"
            raise NotFrozen(f"the file systems cannot be frozen: {answer.removeprefix('refused ')}")
        moment = Moment()
        try:
            yield moment
        finally:
            self._ask("thaw")
            answer = self._answer()
            moment.whole = answer == "thawed" if answer else guardian.thaw(self._directories)

    def close(self) -> None:
        """End the guardian."""
        self._socket.close()
        self._guardian.wait()
        for directory in self._directories:
            os.close(directory)

    def _ask(self, request: str) -> None:
        try:
            self._socket.send(request.encode())
        except OSError:
            log.error("the guardian of frozen file systems is gone", request=request)

    def _answer(self) -> str:
        """What the guardian says; empty when it is gone."""
        try:
            return self._socket.recv(512).decode()
        except OSError:
            return ""
