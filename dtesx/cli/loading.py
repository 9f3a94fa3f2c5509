"""Commands that are imported when they are wanted: a program starts faster without all the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import typer.main
from typer.core import TyperGroup


def group_of_modules(modules: Mapping[str, str]) -> type[TyperGroup]:
    """A kind of group; ``modules`` has the name of each command and the module that holds it as ``app``."""

    class Group(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = _Commands(modules)

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the parser's interface
            return list(modules)

    return Group


class _Commands(MutableMapping[str, Any]):
    """The commands of a group by name, each made at its first use."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = dict(modules)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            made = typer.main.get_command(import_module(self._modules[name]).app)
            made.name = name
            self._made[name] = made
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._modules[name] = ""
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._modules[name]
        self._made.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)
