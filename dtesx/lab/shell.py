"""SSH into machines of the lab, from inside its network namespace."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import ConnectionFailed
from dtesx.base.retry import wait_until
from dtesx.base.run import Completed, Process, run, spawn
from dtesx.lab.namespaces import inside
from dtesx.lab.processes import terminate

_LOGIN_SECONDS = 60.0
_OPTIONS = (
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"),
    # A lab's addresses and host keys are made anew each time; nothing outside can answer there.
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
)


@dataclass(frozen=True)
class Shell:
    """Logs in as root with the lab's key, from the network namespace ``namespace``.

    ``control`` is the socket of a login that stays (``keep``); while there is one, others go through it.
    """

    namespace: str
    key: Path
    control: Path | None = None

    def argv(self, address: str) -> tuple[str, ...]:
        """The argv of an SSH session; an argument appended to it is the remote command."""
        control = ("-S", str(self.control)) if self.control else ()
        return (*inside(self.namespace), "ssh", "-i", str(self.key), *control, *_OPTIONS, f"root@{address}")

    def keep(self, address: str) -> Process:
        """Log in once for all: an emulated machine needs a second for each login, but not for a session.

        The process is the login; ConnectionFailed when it fails.
        """
        assert self.control is not None
        self.control.unlink(missing_ok=True)
        *enter, target = self.argv(address)
        process = spawn([*enter, "-M", "-N", target])
        ready = wait_until(
            lambda: (self.control is not None and self.control.exists()) or process.poll() is not None,
            timeout=_LOGIN_SECONDS,
        )
        if not ready or process.poll() is not None:
            terminate([process.pid])
            process.wait()
            raise ConnectionFailed(f"nobody could log in at {address}", hint="look at the machine's console")
        return process

    def run(
        self, address: str, argv: Sequence[str], *, timeout: float = 60.0, ok: Sequence[int] = (0,)
    ) -> Completed:
        """Run a program there to its end (status 255 is SSH's own failure)."""
        return run([*self.argv(address), shlex.join(argv)], timeout=timeout, ok=ok)

    def answers(self, address: str) -> bool:
        """Whether one can log in now."""
        return self.run(address, ["true"], timeout=30, ok=tuple(range(256))).status == 0

    def wait(self, address: str, *, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until one can log in; tell whether."""
        return wait_until(lambda: self.answers(address), timeout=timeout, interval=1.0)


def make_key(directory: Path) -> Path:
    """A fresh key pair ``id_ed25519`` in ``directory``; returns the private key's path."""
    key = directory / "id_ed25519"
    for old in (key, key.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dtesx lab", "-f", str(key)])
    return key
