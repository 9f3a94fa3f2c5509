"""The error tree: every error says what happened, what to do next, and how a command should exit."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of every dtesx command; the table in the README is this enum."""

    OK = 0
    PROBLEMS = 1
    USAGE = 2
    CONNECTION = 3
    REFUSED = 4
    NOT_FOUND = 5
    CONFLICT = 6
    TARGET_FULL = 7
    VSPHERE = 8
    FAILED = 9
    HALTED = 10
    INTERRUPTED = 130


class DtesxError(Exception):
    """Base of all errors that a user is meant to read.

    ``message`` states what happened, ``hint`` what to do next. ``code`` is the stable name under
    which the error travels through the API; ``recoverable`` tells that repeating the same command
    can succeed without changing its input.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    recoverable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DtesxError):
    """The request itself is wrong: an option, a job file, a name."""

    code = "usage"
    exit_code = ExitCode.USAGE


class ConnectionFailed(DtesxError):
    """A peer (source, appliance, vCenter) could not be reached or stopped answering."""

    code = "connection"
    exit_code = ExitCode.CONNECTION
    recoverable = True


class Refused(DtesxError):
    """A peer answered and said no: wrong credentials, wrong identity, missing privilege."""

    code = "refused"
    exit_code = ExitCode.REFUSED


class UntrustedCertificate(Refused):
    """The peer's certificate is not one we trust; ``thumbprint`` is what it presented (SHA-256)."""

    code = "untrusted-certificate"

    def __init__(self, message: str, *, thumbprint: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.thumbprint = thumbprint


class NotFound(DtesxError):
    """Something named by the user does not exist."""

    code = "not-found"
    exit_code = ExitCode.NOT_FOUND


class RootMissing(NotFound):
    """What is to be mirrored is not there (any more)."""

    code = "root-missing"


class Halted(DtesxError):
    """A mirror stopped itself, because its source is not what it was; nothing was deleted.

    Its subclasses are the named states.
    """

    code = "halted"
    exit_code = ExitCode.HALTED


class RootRenamed(Halted):
    """The replica holds the tree of another path of this source."""

    code = "root-renamed"


class RootElsewhere(Halted):
    """The source's root lies on another file system than before: one is not mounted, or another is."""

    code = "root-elsewhere"


class RootReplaced(Halted):
    """Another directory stands where the source's root was."""

    code = "root-replaced"


class RootEmpty(Halted):
    """The source's root holds nothing, and the replica does."""

    code = "root-empty"


class SetEmpty(Halted):
    """The rules select nothing of what is to be mirrored."""

    code = "set-empty"


class Conflict(DtesxError):
    """The name is taken, or the object is in a state that does not allow the action."""

    code = "conflict"
    exit_code = ExitCode.CONFLICT


class TargetFull(DtesxError):
    """No space left where the replica is kept (target file system or datastore)."""

    code = "target-full"
    exit_code = ExitCode.TARGET_FULL
    recoverable = True


class EpochDamaged(DtesxError):
    """An epoch that waits on a target does not read back as it was written."""

    code = "epoch-damaged"
    recoverable = True


class VSphereError(DtesxError):
    """vCenter or ESXi reported a fault that has no better class."""

    code = "vsphere"
    exit_code = ExitCode.VSPHERE


class CommandFailed(DtesxError):
    """A program that dtesx started ended with an unexpected status."""

    code = "command-failed"


class Interrupted(DtesxError):
    """The user or the system asked to stop; what was done so far is kept and can be resumed."""

    code = "interrupted"
    exit_code = ExitCode.INTERRUPTED
    recoverable = True


def _tree(root: type[DtesxError]) -> dict[str, type[DtesxError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= {code: cls for code, cls in _tree(child).items() if code not in found}
    return found


def from_code(code: str, message: str, hint: str, *, thumbprint: str = "") -> DtesxError:
    """Rebuild an error that crossed the API; an unknown code becomes the base class."""
    cls = _tree(DtesxError).get(code, DtesxError)
    if issubclass(cls, UntrustedCertificate):
        return cls(message, thumbprint=thumbprint, hint=hint)
    return cls(message, hint=hint)
