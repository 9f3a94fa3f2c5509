"""The table of exit codes, for the help texts, the documentation and the tests."""

from __future__ import annotations

from dtesx.base.errors import ExitCode

MEANING: dict[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.PROBLEMS: "done, but some paths or checks had problems",
    ExitCode.USAGE: "the request is wrong: an option, a name, the job file",
    ExitCode.CONNECTION: "appliance, source or VMware server cannot be reached",
    ExitCode.REFUSED: "the other side said no: password, token, certificate, privilege",
    ExitCode.NOT_FOUND: "no such server, job, network, datastore ...",
    ExitCode.CONFLICT: "the name is taken, or the job's state does not allow it now",
    ExitCode.TARGET_FULL: "no space left on the target or its datastore",
    ExitCode.VSPHERE: "vCenter or ESXi reported a fault",
    ExitCode.FAILED: "anything else that failed",
    ExitCode.HALTED: "a mirror halted, because its source is not what it was; nothing was deleted",
    ExitCode.INTERRUPTED: "stopped with Ctrl-C; what runs on the appliance goes on",
}
"""What each exit code means to a user; complete over ExitCode."""


def table() -> str:
    """The codes as aligned text, one a line."""
    return "\n".join(f"  {int(code):>3}  {text}" for code, text in MEANING.items())
