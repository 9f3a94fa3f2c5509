"""SSH into machines of the lab, from inside its network namespace."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.retry import wait_until
from dtesx.base.run import Completed, run
from dtesx.lab.namespaces import inside

_OPTIONS = (
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"),
    # A lab's addresses and host keys are made anew each time; nothing outside can answer there.
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
)


@dataclass(frozen=True)
class Shell:
    """Logs in as root with the lab's key, from the network namespace ``namespace``."""

    namespace: str
    key: Path

    def argv(self, address: str) -> tuple[str, ...]:
        """The argv of an SSH session; an argument appended to it is the remote command."""
        return (*inside(self.namespace), "ssh", "-i", str(self.key), *_OPTIONS, f"root@{address}")

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
