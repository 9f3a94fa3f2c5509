"""Makes command groups and commands whose ``--help`` always ends with examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

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
    """Register ``function`` as the command ``name``; its docstring and ``examples`` are its help."""
    lines = "\n".join(f"  {example}" for example in examples)
    title = "Example:" if len(examples) == 1 else "Examples:"
    text = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{VERBATIM}\n{title}\n{lines}"
    parent.command(
        name,
        help=text,
        epilog="Exit codes: dtesx help exit-codes",
        context_settings=_HELP,
    )(function)


def _settings(summary: str) -> dict[str, Any]:
    return {
        "help": summary,
        "no_args_is_help": True,
        "rich_markup_mode": None,
        "pretty_exceptions_enable": False,
        "context_settings": _HELP,
    }
