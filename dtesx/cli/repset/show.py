"""``dtesx repset show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtesx.cli import output
from dtesx.cli.params import Json
from dtesx.cli.repset.common import RulesFile, tree

Place = Annotated[
    str | None, typer.Argument(metavar="[SRC]", help="Show relative paths as they are in this directory.")
]


def show(rules: RulesFile, source: Place = None, json: Json = False) -> None:
    """Show a set's name, generation and rules."""
    from dtesx.mirror.rules_file import load
    from dtesx.model.rules import effective

    found = load(rules)
    if json:
        output.document(found)
        return
    above = Path(tree(source) if source is not None else "")
    counts = effective(found.rules)
    output.line(f"{found.name}, generation {found.generation}")
    output.table(
        ("", "TYPE", "PATH", "RECURSIVE", "WILDCARDS", ""),
        [
            (
                str(number),
                rule.type.value,
                str(above / rule.path),
                "yes" if rule.recursive else "no",
                "yes" if rule.wild else "-" if rule.wildcards else "no",
                "" if rule in counts and rule not in found.rules[: number - 1] else "discarded",
            )
            for number, rule in enumerate(found.rules, 1)
        ],
        empty="no rules: the whole tree is in the set",
    )
