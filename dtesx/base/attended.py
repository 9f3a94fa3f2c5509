"""Programs of users: run to their end, or for a time, while whoever waits goes on with what must go on."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from dtesx.base.errors import CommandFailed
from dtesx.base.run import Process, environment

_GRACE = 5.0
_TICK = 0.1
_READ = 64 << 10


@dataclass(frozen=True)
class Attended:
    """How a program ended: ``status`` is negative for a signal, ``output`` the end of all it wrote."""

    status: int
    output: bytes
    in_time: bool


def attend(
    argv: Sequence[str],
    *,
    wait: Callable[[], None],
    timeout: float,
    keep: int,
    user: str = "",
    env: Mapping[str, str] | None = None,
) -> Attended:
    """Run a program, as ``user`` (empty: as we are), and keep ``keep`` bytes of its output.

    ``wait`` waits a moment, and is called until the program ends. When it raises, or after ``timeout``
    seconds, the program and what it started in its session are ended. Raises CommandFailed when it cannot be
    started, and what ``wait`` raises.
    """
    process = _start(argv, user, env)
    assert process.stdout is not None
    in_time, end = True, _End(process.stdout, keep)
    deadline = time.monotonic() + timeout
    try:
        while process.poll() is None and (in_time := time.monotonic() < deadline):
            wait()
    finally:
        _end(process)
    return Attended(process.returncode, end.bytes(), in_time)


def _start(argv: Sequence[str], user: str, env: Mapping[str, str] | None) -> Process:
    try:
        account = pwd.getpwnam(user) if user else None
        home = {"HOME": account.pw_dir} if account is not None else {}
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment({**home, **(env or {})}),
            start_new_session=True,
            cwd="/",
            umask=0o022,
            user=account.pw_uid if account is not None else None,
            group=account.pw_gid if account is not None else None,
            extra_groups=os.getgrouplist(user, account.pw_gid) if account is not None else None,
        )
    except KeyError as error:
        raise CommandFailed(f"there is no user {user} here") from error
    except OSError as error:
        raise CommandFailed(f"{argv[0]} cannot be started: {error.strerror}") from error


def _end(process: Process) -> None:
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)


class _End:
    """Reads all of a pipe, in a thread, and keeps the end of it."""

    def __init__(self, pipe: IO[bytes], keep: int) -> None:
        self._pipe, self._keep, self._bytes = pipe, keep, b""
        self._thread = threading.Thread(target=self._read, name="dtesx-output", daemon=True)
        self._thread.start()

    def bytes(self) -> bytes:
        """The end of what came. What the program left running may have the pipe, and is not waited for."""
        self._thread.join(_TICK)
        return self._bytes

    def _read(self) -> None:
        with self._pipe as pipe:
            while data := os.read(pipe.fileno(), _READ):
                self._bytes = (self._bytes + data)[-self._keep :]
