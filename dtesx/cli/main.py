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
from dtesx.cli import (
    capture,
    demo,
    exit_codes,
    exits,
    failover,
    failures,
    job,
    lab,
    login,
    mirror,
    orphans,
    repset,
    server,
    service,
    snapshot,
    target,
    teach,
    verify,
    version,
    vmware,
)

_DEBUG = "DTESX_DEBUG"

Debug = Annotated[bool, typer.Option("--debug", help="Show the log, and tracebacks of unexpected errors.")]

app = teach.group(
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


teach.add(
    app,
    "login",
    login.login,
    "dtesx login https://10.1.0.2:6325 --token-file admin-token",
    "dtesx login 10.1.0.2 --token-file admin-token --trust-thumbprint AA:BB:...",
)
app.add_typer(server.app, name="server")
app.add_typer(vmware.app, name="vmware")
app.add_typer(job.app, name="job")
app.add_typer(snapshot.app, name="snapshot")
teach.add(
    app,
    "failover",
    failover.failover,
    "dtesx failover alpha --live",
    "dtesx failover alpha --live --no-final-mirror --yes --json",
)
teach.add(
    app,
    "target",
    target.run_target,
    "dtesx target --data /srv/replicas",
    "dtesx target --listen 10.1.0.2:1500 --data /srv/replicas --state /var/lib/dtesx/target",
)
teach.add(
    app,
    "mirror",
    mirror.mirror,
    "dtesx mirror /srv/www dtesx://10.1.0.2:1500/www --token-file token",
    "dtesx mirror /srv/www dtesx://10.1.0.2/www --json",
)
teach.add(
    app,
    "verify",
    verify.verify,
    "dtesx verify /srv/www dtesx://10.1.0.2:1500/www",
    "dtesx verify /srv/www dtesx://10.1.0.2/www --data --remirror --log /var/log/dtesx-verify.log",
)
app.add_typer(orphans.app, name="orphans")
app.add_typer(repset.app, name="repset")
app.add_typer(capture.app, name="capture")
app.add_typer(lab.app, name="lab")
teach.add(app, "demo", demo.run_demo, "dtesx demo", "dtesx demo --keep", "dtesx demo --json > demo.json")
app.add_typer(service.app, name="service")
teach.add(app, "version", version.version, "dtesx version")
topics = teach.group("More help, by topic.")
teach.add(topics, "exit-codes", exit_codes.exit_codes, "dtesx help exit-codes")
app.add_typer(topics, name="help")


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
