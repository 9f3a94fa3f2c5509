"""``dtesx version``."""

from __future__ import annotations

from dtesx import __version__, batch
from dtesx.cli import output, teach
from dtesx.cli.params import Json


def version(json: Json = False) -> None:
    """Print the version, and how small files are dealt with.

    native: by an extension in C, many at a time; pure: one by one, because it was not built.
    """
    small_files = "pure" if batch.native is None else "native"
    if json:
        output.document({"version": __version__, "small_files": small_files})
    else:
        output.line(f"dtesx {__version__} (small files: {small_files})")


app = teach.command("version", version, "dtesx version")
