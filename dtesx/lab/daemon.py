"""A site that outlives the command that started it: ``up``, ``down`` and ``status``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import msgspec

from dtesx.base import log as logs
from dtesx.base.described import described
from dtesx.base.errors import CommandFailed, DtesxError, NotFound, from_code
from dtesx.base.files import private_directory, write_atomic
from dtesx.base.run import spawn
from dtesx.lab import leftovers
from dtesx.lab.claim import is_owned, only_lab
from dtesx.lab.network import Network, processes_in
from dtesx.lab.processes import terminate
from dtesx.lab.site import Site, lab_site
from dtesx.lab.status import SiteStatus

log = logs.get_logger(__name__)

_DOWN_SECONDS = 60.0
_REFRESH_SECONDS = 1.0


@dataclass(frozen=True)
class State:
    """The state file: who owns the site, and what it last said of itself."""

    pid: int
    site: SiteStatus


@dataclass(frozen=True)
class Message:
    """What the daemon tells the command that started it: a line of progress, the end, or an error."""

    progress: str = ""
    ready: bool = False
    code: str = ""
    error: str = ""
    hint: str = ""


def up(directory: Path, cache: Path, progress: Callable[[str], None]) -> SiteStatus:
    """Start a site in the background and return when it is ready; it runs until ``down``.

    Returns the running site's status when there is one already. Raises what went wrong in the daemon.
    """
    directory = private_directory(directory).resolve()
    if (state := _running(directory)) is not None:
        return state.site
    reading, writing = os.pipe()
    try:
        with (directory / "daemon.log").open("wb") as out:
            argv = [
                sys.executable,
                "-m",
                "dtesx.lab.daemon",
                str(directory),
                str(cache.resolve()),
                str(writing),
            ]
            process = spawn(argv, stdout=out, stderr=out, pass_fds=(writing,))
    finally:
        os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            for line in pipe:
                message = msgspec.json.decode(line, type=described(Message))
                if message.code:
                    process.wait()
                    raise from_code(message.code, message.error, message.hint)
                if message.ready:
                    return status(directory)
                progress(message.progress)
    except BaseException:
        terminate([process.pid], patience=_DOWN_SECONDS)
        raise
    process.wait()
    raise CommandFailed(
        f"the lab ended with status {process.returncode} before it was ready",
        hint=f"see {directory / 'daemon.log'}; dtesx lab down clears what it left",
    )


def down(directory: Path) -> tuple[str, ...]:
    """End the site and clear everything it, or a killed one before it, left; what was cleared.

    Raises Conflict when the site belongs to a command that still runs, such as a demo.
    """
    directory = directory.resolve()
    if not directory.exists():
        return ()
    if (state := _running(directory)) is not None:
        terminate([state.pid], patience=_DOWN_SECONDS)
    with only_lab(directory):
        _state_file(directory).unlink(missing_ok=True)
        return leftovers.clear(directory)


def status(directory: Path) -> SiteStatus:
    """The running site's status, at most a second old; NotFound when none runs in ``directory``."""
    state = _running(directory.resolve())
    if state is None:
        raise NotFound(f"no lab runs in {directory}", hint="start one: dtesx lab up")
    return state.site


def lose(directory: Path, machine: str) -> None:
    """Crash a machine of a running site: its link goes down and every process in it is killed.

    ``machine`` is ``source`` or ``appliance``; NotFound for others.
    """
    lab = Network(leftovers.lab_identity(directory.resolve()))
    lab.unplug(machine)
    terminate(processes_in(lab.namespace_of(machine)))


def _state_file(directory: Path) -> Path:
    return directory / "state.json"


def _running(directory: Path) -> State | None:
    if not is_owned(directory):
        return None
    try:
        return msgspec.json.decode(_state_file(directory).read_bytes(), type=described(State))
    except FileNotFoundError:
        return None


def serve(directory: Path, cache: Path, pipe: int) -> int:
    """The daemon: own a site until SIGTERM. Progress and errors go into ``pipe``; the exit status."""
    signal.signal(signal.SIGTERM, _end)

    def tell(message: Message) -> None:
        os.write(pipe, msgspec.json.encode(message) + b"\n")

    try:
        with lab_site(directory, cache, lambda text: tell(Message(progress=text))) as site:
            latest = _publish(directory, site, None)
            tell(Message(ready=True))
            os.close(pipe)
            while True:
                time.sleep(_REFRESH_SECONDS)
                latest = _publish(directory, site, latest)
    except DtesxError as error:
        log.error("the lab failed", message=error.message, exc_info=True)
        tell(Message(code=error.code, error=error.message, hint=error.hint))
        return int(error.exit_code)
    except KeyboardInterrupt:
        log.info("the lab was told to end")
    finally:
        _state_file(directory).unlink(missing_ok=True)
    return 0


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
    """Unwind from wherever we are, once: a second signal must not cut the unwinding short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _publish(directory: Path, site: Site, latest: SiteStatus | None) -> SiteStatus:
    now = site.status()
    if now != latest:
        write_atomic(_state_file(directory), msgspec.json.encode(State(os.getpid(), now)))
    return now


if __name__ == "__main__":
    logs.configure()
    sys.exit(serve(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
