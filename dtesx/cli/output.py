"""What commands print: one JSON document, or text that is coloured on terminals only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Output that goes to a file or a pipe must not be folded at the width of a terminal.
_ENDLESS = 1000


def console(*, stderr: bool = False) -> Console:
    """A console for one stream: colours only on a terminal and without NO_COLOR (no-color.org)."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        highlight=False,
        emoji=False,
        width=None if stream.isatty() else _ENDLESS,
    )


def document(value: object) -> None:
    """Print ``value`` (model objects welcome) as the command's one JSON document."""
    import msgspec

    plain = msgspec.to_builtins(value)
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def line(text: str, *, style: str = "") -> None:
    """Print a line of text to standard output."""
    console().print(text, style=style or None, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print rows below their headings; ``empty`` is said when there are none."""
    from rich.table import Table

    content = list(rows)
    if not content:
        line(empty)
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in content:
        drawn.add_row(*row)
    _show(drawn)


def pairs(values: Iterable[tuple[str, str]]) -> None:
    """Print ``name  value`` lines, aligned; pairs without a value are left out."""
    from rich.table import Table

    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    drawn.add_column(style="bold", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in values:
        if value:
            drawn.add_row(name, value)
    _show(drawn)


def _show(drawn: Table) -> None:
    out = console()
    if out.is_terminal:
        out.print(drawn)
        return
    # rich fills every row up to the table's width, which nobody wants in a file.
    with out.capture() as captured:
        out.print(drawn)
    for row in captured.get().splitlines():
        typer.echo(row.rstrip())
