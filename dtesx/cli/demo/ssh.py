"""Logging in to the replica the way its administrator would, insisting on the server's own host key."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from dtesx.base.errors import CommandFailed, ConnectionFailed
from dtesx.base.run import Completed, run
from dtesx.cli.demo.site import Ssh

_REFUSED = 255  # ssh's own status when there was no session
_POLL_SECONDS = 0.5


class Login:
    """SSH to a machine that must have one of ``host_keys`` (lines as in /etc/ssh/ssh_host_*_key.pub)."""

    def __init__(self, ssh: Ssh, *, host_keys: str, directory: Path, name: str) -> None:
        known = directory / "known_hosts"
        lines = [f"{name} {line}" for line in host_keys.splitlines() if line.strip()]
        known.write_text("\n".join(lines) + "\n")
        self._argv = (
            *("ssh", "-F", "none", "-i", str(ssh.key), "-p", str(ssh.port)),
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"),
            *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}"),
            *("-o", f"HostKeyAlias={name}", f"root@{ssh.address}"),
        )

    @property
    def command(self) -> str:
        """The command for people to type."""
        return " ".join(self._argv)

    def run(self, script: str, *, stdin: bytes | None = None, timeout: float = 120.0) -> Completed:
        """Run a shell script there; CommandFailed when it ends with another status than 0."""
        return run([*self._argv, script], stdin=stdin, timeout=timeout)

    def wait(
        self,
        *,
        timeout: float,
        on_wait: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait until a login works. ConnectionFailed after ``timeout`` seconds; wrong keys fail at once."""
        began = clock()
        while True:
            done = run([*self._argv, "true"], ok=(0, _REFUSED), timeout=30)
            if done.status == 0:
                return
            reason = done.stderr.decode(errors="replace").strip()
            if "Host key verification failed" in reason:
                raise CommandFailed(
                    "the replica does not have the server's SSH host key", hint="it is another machine"
                )
            if clock() - began > timeout:
                raise ConnectionFailed(
                    f"no SSH login after {timeout:.0f} s: {reason}", hint="look at the replica's console log"
                )
            on_wait(clock() - began)
            sleep(_POLL_SECONDS)
