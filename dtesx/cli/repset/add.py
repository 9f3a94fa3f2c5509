"""``dtesx repset add``."""

from __future__ import annotations

from typing import Annotated

import typer

from dtesx.base.errors import UsageError
from dtesx.cli.params import Json
from dtesx.cli.repset.common import Generation, RulesFile, saved, told

Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include", metavar="PATH", help="Take PATH into the set; PATH,nonrec: not what is below it."
    ),
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="PATH", help="Keep PATH out of the set.")
]
Name = Annotated[str, typer.Option("--name", help="Name of a set that is new. [default: the file's]")]


def add(
    rules: RulesFile,
    include: Include = None,
    exclude: Exclude = None,
    name: Name = "",
    generation: Generation = None,
    json: Json = False,
) -> None:
    """Add rules to a replication set, or make one."""
    from dtesx.mirror.rules_file import load
    from dtesx.model.rules import ReplicationSet, RuleType, written

    if not include and not exclude:
        raise UsageError("there is no rule to add", hint="give --include PATH or --exclude PATH")
    try:
        new = [written(path, RuleType.INCLUDE) for path in include or ()]
        new += [written(path, RuleType.EXCLUDE) for path in exclude or ()]
        began = load(rules) if rules.exists() else ReplicationSet(name or rules.stem)
    except ValueError as error:
        raise UsageError(str(error), hint="docs/rules.md says how rules and sets are written") from error
    missing = tuple(rule for rule in dict.fromkeys(new) if rule not in began.rules)
    told(saved(rules, began, (*began.rules, *missing), generation), as_json=json)
