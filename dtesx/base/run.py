"""The only place that starts programs: list argv, clean environment, stdin closed, one failure log."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

from dtesx.base.errors import CommandFailed
from dtesx.base.log import get_logger

log = get_logger(__name__)

Process = subprocess.Popen[bytes]
"""A program that spawn() started."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TAIL = 2000


@dataclass(frozen=True)
class Completed:
    """What a finished program left: exit status and both outputs (bytes)."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; undecodable bytes are kept as surrogates."""
        return self.stdout.decode(errors="surrogateescape")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment that every program gets: a fixed PATH and the C locale, so output parses."""
    return {"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", "/root")} | dict(extra or {})


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    ok: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
    timeout: float | None = 600.0,
    hint: str = "",
) -> Completed:
    """Run a program to its end and return its output.

    ``ok`` lists the exit statuses that are not failures. Raises CommandFailed with the last lines
    of stderr when the status is another one, the program is missing, or ``timeout`` (seconds) ran
    out; the log then holds the command in a form that can be pasted into a shell.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=environment(env),
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandFailed(
            f"the program {argv[0]} is not installed here", hint=hint or f"install {argv[0]}"
        ) from error
    except subprocess.TimeoutExpired as error:
        log.error("command timed out", command=shlex.join(argv), seconds=timeout)
        raise CommandFailed(f"{argv[0]} did not end within {timeout:.0f} s", hint=hint) from error
    if done.returncode not in ok:
        tail = done.stderr.decode(errors="replace").strip()[-_TAIL:]
        log.error("command failed", command=shlex.join(argv), status=done.returncode, stderr=tail)
        raise CommandFailed(
            f"{argv[0]} failed with status {done.returncode}: {tail or 'no message'}", hint=hint
        )
    return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


def run_alone(argv: Sequence[str], seconds: float) -> None:
    """Run somebody else's program to its end, in a session of its own: no signal of a terminal reaches it.

    When its time is up, it is killed with all that it started. Raises CommandFailed.
    """
    with TemporaryFile() as said:
        process = spawn(argv, stdout=said, stderr=said)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(f"{shlex.join(argv)} did not end within {seconds:g} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if status:
            said.seek(0)
            tail = said.read().decode(errors="replace").strip()[-_TAIL:]
            raise CommandFailed(f"{shlex.join(argv)} failed with status {status}: {tail or 'no message'}")


def spawn(
    argv: Sequence[str],
    *,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a long-lived program in a session of its own; the caller ends it by pid.

    Outputs default to nowhere. Raises CommandFailed when the program is missing.
    """
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=subprocess.DEVNULL if stderr is None else stderr,
            env=environment(env),
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    except FileNotFoundError as error:
        raise CommandFailed(f"the program {argv[0]} is not installed here") from error
