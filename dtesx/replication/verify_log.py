"""The verification log: one file for each replication set, which never grows beyond its limit."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType

from dtesx.base.errors import UsageError
from dtesx.model.verify import Difference, Finding, VerifyLogOptions, VerifyStats

_FULL = b"--- the log has reached its maximum length; nothing more is logged\n"


class VerifyLog:
    """The log of one verification of the set ``name``, as a context manager.

    The set's name is put before the file's: ``/var/log/verify.log`` becomes ``/var/log/www
    verify.log``. Raises UsageError when it cannot be written.
    """

    def __init__(self, options: VerifyLogOptions, name: str) -> None:
        given = Path(options.path)
        self.path = given.with_name(f"{name} {given.name}")
        mode = os.O_APPEND if options.append else os.O_TRUNC
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | mode
        try:
            self._file = os.fdopen(os.open(self.path, flags, 0o600), "ab")
        except OSError as error:
            raise UsageError(
                f"the verification log {self.path} cannot be written: {error.strerror}",
                hint="give another file with --log",
            ) from error
        self._left = options.max_length - self._file.seek(0, os.SEEK_END)
        self._full = self._left <= 0

    def __enter__(self) -> VerifyLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._line(f"=== broken off {_now()}: {error}")
        self._file.close()

    def begin(self, *, source: str, target: str, data: bool, remirror: bool) -> None:
        """Write the begin marker."""
        compared = "data" if data else "attributes"
        after = "; what differs is mirrored afterwards" if remirror else ""
        self._line(f"=== verification begins {_now()}: {source} -> {target}, {compared} compared{after}")

    def finding(self, finding: Finding) -> None:
        """Write the state of a name that is not the same."""
        self._line(describe(finding))

    def end(self, stats: VerifyStats) -> None:
        """Write the totals and the end marker."""
        for problem in stats.problems:
            self._line(f"unverified {printable(problem.path)}: {problem.reason}")
        self._line(
            f"--- {stats.names_total} names: {stats.same} same, {stats.missing} missing on the target,"
            f" {stats.different} different; {stats.orphans} orphans; {stats.problems_total} not verified"
        )
        self._line(
            f"--- {stats.bytes_total} bytes, {stats.bytes_different} of them to be sent;"
            f" {stats.orphan_bytes} bytes in orphans"
        )
        self._line(f"=== verification ends {_now()} after {stats.seconds:.1f} s")

    def _line(self, text: str) -> None:
        if self._full:
            return
        line = f"{text}\n".encode()
        self._full = len(line) + len(_FULL) > self._left
        if self._full:
            line = _FULL if len(_FULL) <= self._left else b""
        self._file.write(line)
        self._left -= len(line)


def describe(finding: Finding) -> str:
    """One line: state, kind, size, path, and in what it differs (the target's value in brackets)."""
    aspects = "; ".join(map(_aspect, finding.differences))
    line = f"{finding.state:<10} {finding.kind:<9} {finding.size:>12} {printable(finding.path)}"
    return f"{line}: {aspects}" if aspects else line


def _aspect(difference: Difference) -> str:
    text = f"{difference.aspect} {printable(difference.source)}"
    return f"{text} (target: {printable(difference.target)})" if difference.target else text


def printable(text: str) -> str:
    """Text for one line: whatever would break it, as a backslash escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
