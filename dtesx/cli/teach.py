"""Makes command groups and commands whose ``--help`` always ends with examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer

# A paragraph that starts with this character is printed as it is, not re-wrapped.
VERBATIM = "\b"


def group(summary: str, *, epilog: str = "") -> typer.Typer:
    """A command (sub)group; without a command it prints its help."""
    return typer.Typer(
        help=summary,
        epilog=epilog or None,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )


def add(parent: typer.Typer, name: str, function: Callable[..., Any], *examples: str) -> None:
    """Register ``function`` as the command ``name``; its docstring and ``examples`` are its help."""
    lines = "\n".join(f"  {example}" for example in examples)
    title = "Example:" if len(examples) == 1 else "Examples:"
    text = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{VERBATIM}\n{title}\n{lines}"
    parent.command(
        name,
        help=text,
        epilog="Exit codes: dtesx help exit-codes",
        context_settings={"help_option_names": ["--help", "-h"]},
    )(function)
