"""``dtesx repset remove``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.base.errors import NotFound
from dtesx.cli.params import Json
from dtesx.cli.repset.common import Generation, RulesFile, saved, told

Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Paths of rules, as they are written.")]


def remove(rules: RulesFile, paths: Paths, generation: Generation = None, json: Json = False) -> None:
    """Remove the rules with these paths."""
    from dtesx.mirror.rules_file import load

    began = load(rules)
    unknown = [path for path in paths if all(rule.path != path for rule in began.rules)]
    if unknown:
        raise NotFound(
            f"the set {began.name} has no rule for {unknown[0]}", hint=f"dtesx repset show --rules {rules}"
        )
    kept = tuple(rule for rule in began.rules if rule.path not in paths)
    told(saved(rules, began, kept, generation), as_json=json)
