"""The command ``dtesx``: puts the commands together and turns errors into exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
import typer.main

from dtesx.base import log
from dtesx.base.errors import DtesxError, ExitCode
from dtesx.cli import exits, failures, teach

_DEBUG = "DTESX_DEBUG"

Debug = Annotated[bool, typer.Option("--debug", help="Show the log, and tracebacks of unexpected errors.")]

_COMMANDS = {
    "login": "dtesx.cli.login",
    "server": "dtesx.cli.server",
    "vmware": "dtesx.cli.vmware",
    "job": "dtesx.cli.job",
    "snapshot": "dtesx.cli.snapshot",
    "failover": "dtesx.cli.failover",
    "target": "dtesx.cli.target",
    "pause": "dtesx.cli.pause",
    "resume": "dtesx.cli.resume",
    "queue": "dtesx.cli.queue",
    "mirror": "dtesx.cli.mirror",
    "replicate": "dtesx.cli.replicate",
    "replication": "dtesx.cli.replication",
    "point": "dtesx.cli.point",
    "task": "dtesx.cli.task",
    "status": "dtesx.cli.status",
    "stats": "dtesx.cli.stats",
    "verify": "dtesx.cli.verify",
    "orphans": "dtesx.cli.orphans",
    "repset": "dtesx.cli.repset",
    "capture": "dtesx.cli.capture",
    "lab": "dtesx.cli.lab",
    "demo": "dtesx.cli.demo.command",
    "service": "dtesx.cli.service",
    "version": "dtesx.cli.version",
    "help": "dtesx.cli.topics",
}

app = teach.root(
    "Keep a running Linux server ready to start as a VMware virtual machine.\n\n"
    f"{teach.VERBATIM}\n"
    "The road:\n"
    "  dtesx login https://APPLIANCE:6325 --token-file FILE\n"
    "  dtesx server add alpha 10.1.0.11 --token-file FILE\n"
    "  dtesx vmware add vc1 vcenter.example.org --user dtesx@vsphere.local\n"
    "  dtesx job create -f job.yaml\n"
    "  dtesx snapshot take alpha\n"
    "  dtesx failover alpha --live\n\n"
    f"{teach.VERBATIM}\n"
    "Example of the whole road on this machine alone:\n"
    "  dtesx demo",
    _COMMANDS,
    epilog=f"{teach.VERBATIM}\nExit codes:\n{exits.table()}",
)


@app.callback()
def root(debug: Debug = False) -> None:
    """Options that stand before the command."""
    if debug:
        os.environ[_DEBUG] = "1"
    if _debug():
        log.configure(verbose=True)
    else:
        # What users need to know they are told by errors; Python would print warnings bare.
        logging.getLogger("dtesx").addHandler(logging.NullHandler())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="dtesx", standalone_mode=False)
    except DtesxError as error:
        return failures.show(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except failures.ParserError as error:
        if failures.is_help(error):
            typer.echo(str(error), err=True)
            return ExitCode.USAGE
        return failures.show(failures.from_parser(error), as_json=as_json)
    except Exception as error:
        missing = failures.from_missing(error) if isinstance(error, ModuleNotFoundError) else None
        return failures.show(missing or failures.from_bug(error, debug=_debug()), as_json=as_json)
    return code if isinstance(code, int) else ExitCode.OK


def _debug() -> bool:
    return bool(os.environ.get(_DEBUG))
