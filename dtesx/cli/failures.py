"""The one place where errors become what the user sees: message, hint, exit code."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path

import typer

from dtesx.base.errors import DtesxError, ExitCode, UntrustedCertificate, UsageError
from dtesx.cli import output

# Which extra of the distribution brings a module that the plain installation does without.
_EXTRAS = {
    "pyVim": "appliance",
    "pyVmomi": "appliance",
    "sqlalchemy": "appliance",
    "starlette": "source",
    "uvicorn": "source",
    "zstandard": "appliance",
}

# Typer raises its own (older versions: click's) errors for wrong options; both descend alike from
# the public BadParameter: BadParameter -> UsageError -> the base that knows format_message().
ParserError: type[Exception] = typer.BadParameter.__mro__[2]


def show(error: DtesxError, *, as_json: bool) -> ExitCode:
    """Print ``error`` (JSON: to stdout, as the command's one document); return the exit code."""
    if as_json:
        body = {"code": error.code, "message": error.message, "hint": error.hint}
        if isinstance(error, UntrustedCertificate):
            body["thumbprint"] = error.thumbprint
        output.document({"error": body})
        return error.exit_code
    out = output.console(stderr=True)
    out.print("error: ", style="bold red", end="")
    out.print(error.message, soft_wrap=True)
    if error.hint:
        out.print("hint: ", style="bold cyan", end="")
        out.print(error.hint, soft_wrap=True)
    return error.exit_code


def is_help(error: Exception) -> bool:
    """A command group called without a command "fails" with its help text as the message."""
    return type(error).__name__ == "NoArgsIsHelpError"


def from_parser(error: Exception) -> DtesxError:
    """A wrong command line as our kind of error."""
    message = str(getattr(error, "format_message", lambda: str(error))())
    context = getattr(error, "ctx", None)
    path = str(getattr(context, "command_path", "dtesx"))
    return UsageError(message.rstrip("."), hint=f"{path} --help shows what is expected")


def from_missing(error: ModuleNotFoundError) -> DtesxError | None:
    """A service started without its extra; None when the missing module is not an extra's."""
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        return None
    return UsageError(
        f"this needs the Python package {error.name}, which is not installed",
        hint=f"pip install 'dtesx[{extra}]', into the environment that dtesx runs in",
    )


def from_bug(error: Exception, *, debug: bool) -> DtesxError:
    """An exception nobody planned for: say so, and keep the traceback where it can be sent on."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
        where = "the traceback is above"
    else:
        where = f"the traceback is in {_keep(error)}; --debug shows it: dtesx --debug ..."
    return DtesxError(
        f"this is a bug in dtesx: {type(error).__name__}: {error}", hint=f"please report it; {where}"
    )


def _keep(error: Exception) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    handle, name = tempfile.mkstemp(prefix=f"dtesx-bug-{stamp}-", suffix=".log")
    with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"dtesx {' '.join(sys.argv[1:2])}\n")
        traceback.print_exception(error, file=file)
    return Path(name)
