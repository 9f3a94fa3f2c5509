"""``dtesx demo``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.cli.params import Json

Keep = Annotated[bool, typer.Option("--keep", help="Leave the lab up afterwards.")]


def run_demo(keep: Keep = False, json: Json = False) -> None:
    """Show the whole road."""
