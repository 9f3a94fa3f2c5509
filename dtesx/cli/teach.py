"""Makes command groups and commands whose ``--help`` always ends with examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

import typer

from dtesx.cli.loading import group_of_modules

# A paragraph that starts with this character is printed as it is, not re-wrapped.
VERBATIM = "\b"

_HELP = {"help_option_names": ["--help", "-h"]}


def root(summary: str, modules: Mapping[str, str], *, epilog: str) -> typer.Typer:
    """The command that stands before all others; ``modules`` is where each of them is (cli.loading)."""
    return typer.Typer(cls=group_of_modules(modules), epilog=epilog, **_settings(summary))


def group(summary: str) -> typer.Typer:
    """A command subgroup; without a command it prints its help."""
    # With a callback it stays a group when it has but one command.
    return typer.Typer(add_completion=False, callback=lambda: None, **_settings(summary))


def command(name: str, function: Callable[..., Any], *examples: str) -> typer.Typer:
    """``function`` as a command that stands in no subgroup."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    add(app, name, function, *examples)
    return app


def add(parent: typer.Typer, name: str, function: Callable[..., Any], *examples: str) -> None:
    """Register ``function`` as the command ``name``; its docstring and ``examples`` are its help.

    A parameter of it may be a group of options: a dataclass, the fields of which are written as
    parameters are.
    """
    lines = "\n".join(f"  {example}" for example in examples)
    title = "Example:" if len(examples) == 1 else "Examples:"
    text = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{VERBATIM}\n{title}\n{lines}"
    parent.command(
        name,
        help=text,
        epilog="Exit codes: dtesx help exit-codes",
        context_settings=_HELP,
    )(_spread(function))


def _spread(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with the fields of its groups of options as parameters."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            parameters += _members(groups[name])
        else:
            parameters.append(parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=hints[name]))

    @wraps(function)
    def called(**given: Any) -> Any:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        return function(**given)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer looks at
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def _members(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


def _settings(summary: str) -> dict[str, Any]:
    return {
        "help": summary,
        "no_args_is_help": True,
        "rich_markup_mode": None,
        "pretty_exceptions_enable": False,
        "context_settings": _HELP,
    }
