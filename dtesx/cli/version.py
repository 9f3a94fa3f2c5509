"""``dtesx version``."""

from __future__ import annotations

from dtesx import __version__
from dtesx.cli import output, teach
from dtesx.cli.params import Json


def version(json: Json = False) -> None:
    """Print the version of this command."""
    if json:
        output.document({"version": __version__})
    else:
        output.line(f"dtesx {__version__}")


app = teach.command("version", version, "dtesx version")
