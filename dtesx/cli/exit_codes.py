"""``dtesx help exit-codes``."""

from __future__ import annotations

from dtesx.cli import exits, output
from dtesx.cli.params import Json


def exit_codes(json: Json = False) -> None:
    """Print the exit codes that all commands share."""
    if json:
        output.document([{"code": int(code), "meaning": text} for code, text in exits.MEANING.items()])
    else:
        output.line(exits.table())
