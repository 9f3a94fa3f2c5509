"""Logging in to a server, and later to its replica, which must have the same host key."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import CommandFailed, ConnectionFailed
from dtesx.base.run import Completed, run

_NO_SESSION = 255  # ssh's own status: there was no session
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Login:
    """SSH as root to ``address``. The first host key seen under ``name`` is the only one accepted."""

    name: str
    address: str
    port: int
    key: Path
    known_hosts: Path

    @property
    def argv(self) -> tuple[str, ...]:
        """The argv of a session; an argument appended to it is the remote command."""
        return (
            *("ssh", "-F", "none", "-i", str(self.key), "-p", str(self.port)),
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"),
            *("-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={self.known_hosts}"),
            *("-o", f"HostKeyAlias={self.name}", f"root@{self.address}"),
        )

    def run(self, script: str, *, timeout: float = 120.0) -> Completed:
        """Run a shell script there; CommandFailed when it ends with another status than 0."""
        return run([*self.argv, script], timeout=timeout)

    def wait(
        self,
        *,
        timeout: float,
        on_wait: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait until a login works, at most ``timeout`` seconds.

        Raises ConnectionFailed when none did, CommandFailed at once when the host key is another one.
        """
        began = clock()
        while True:
            done = run([*self.argv, "true"], ok=(0, _NO_SESSION), timeout=30)
            if done.status == 0:
                return
            reason = done.stderr.decode(errors="replace").strip()
            if "Host key verification failed" in reason:
                raise CommandFailed(
                    f"what answers at {self.address} does not have {self.name}'s SSH host key",
                    hint="it is another machine, or its key was not mirrored",
                )
            waited = clock() - began
            if waited > timeout:
                raise ConnectionFailed(
                    f"no SSH login after {timeout:.0f} s: {reason}", hint="look at the machine's console log"
                )
            on_wait(waited)
            sleep(_POLL_SECONDS)
