"""Reads YAML files of users: every mistake is reported with the file, the line and the field it is in."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from dtesx.base.described import described
from dtesx.base.errors import UsageError

if TYPE_CHECKING:
    import yaml

T = TypeVar("T")

_AT = re.compile(r"^(?P<text>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>\w+)`")
_TYPE = re.compile(r"Expected `(?P<want>[^`]+)`, got `(?P<got>[^`]+)`")
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "object": "a block of fields",
    "array": "a list",
    "bool": "yes/no",
    "float": "a fraction",
    "null": "nothing",
}


def load(
    path: Path, kind: type[T], what: str, *, hint: str, refused: Mapping[str, str] = MappingProxyType({})
) -> T:
    """Read a file (``-``: standard input) as ``kind``, a dataclass; ``what`` it is, for messages.

    UsageError names file, line and field; ``hint`` says where the fields are explained. ``refused`` says of
    fields that people may expect why there are none.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the file {name} cannot be read: {error}", hint="check the path") from error
    return parse(text, name, kind, what, hint=hint, refused=refused)


def parse(
    text: str,
    name: str,
    kind: type[T],
    what: str,
    *,
    hint: str,
    refused: Mapping[str, str] = MappingProxyType({}),
) -> T:
    """Turn the text of a file into ``kind``; ``name`` is the file's, for messages."""
    import msgspec
    import yaml

    from dtesx.management.bodies import unknown_field

    try:
        tree = yaml.compose(text, Loader=_loader())
        data = yaml.load(text, Loader=_loader())  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: not valid YAML: {_yaml_message(error)}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        # PyYAML turns a deep file into a deep recursion.
        raise UsageError(f"{name}: not valid YAML: {error}", hint=hint) from error
    if tree is None or not isinstance(data, dict):
        raise UsageError(f"{name}: {what} is a list of fields, such as name: web1", hint=hint)
    place = _Place(name, dict(_lines(tree, "")), hint)
    _no_duplicates(tree, "", name)
    if (stranger := unknown_field(data, kind)) is not None:
        if (why := refused.get(stranger[0])) is not None:
            raise UsageError(f"{place.at(stranger[0])}: {stranger[0]}: {why}", hint="leave it out")
        raise place.stranger(*stranger)
    try:
        return msgspec.convert(data, described(kind), strict=True)
    except msgspec.ValidationError as error:
        raise place.explain(str(error)) from error


@cache
def _loader() -> type[yaml.SafeLoader]:
    """PyYAML's loader, with the plain values of YAML 1.2 (as editors and JSON schemas have them).

    YAML 1.1 makes false of off, 1260 of 21:00 and a date of 2026-11-21.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}  # noqa: RUF012 - as PyYAML has it

    for tag, pattern, first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?[0-9]+", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("merge", r"<<", ["<"]),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))
    return Loader


@dataclass(frozen=True)
class _Place:
    """Where fields are in a file: ``lines`` maps ``replica.cpus`` to its line."""

    file: str
    lines: dict[str, int]
    hint: str

    def at(self, path: str) -> str:
        """``job.yaml:7`` for a field, or for what it is in, or the file alone."""
        while path and path not in self.lines:
            path = re.sub(r"(\.|^)[^.]*$", "", path) if not path.endswith("]") else path[: path.rindex("[")]
        return f"{self.file}:{self.lines[path]}" if path else self.file

    def stranger(self, path: str, known: list[str]) -> UsageError:
        """For a field that does not exist, where ``known`` ones do."""
        block, _, name = path.rpartition(".")
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"; did you mean {near[0]}?" if near else ""
        hint = f"{block or 'it'} has the fields {', '.join(known)}"
        return UsageError(f"{self.at(path)}: unknown field {path}{guess}", hint=hint)

    def explain(self, message: str) -> UsageError:
        """Turn msgspec's message, such as "Expected `int`, got `str` - at `$.replica.cpus`", for people."""
        match = _AT.match(message)
        text, path = (match["text"], (match["path"] or "").lstrip(".")) if match else (message, "")
        if missing := _MISSING.search(text):
            field = f"{path}.{missing['field']}" if path else missing["field"]
            return UsageError(f"{self.at(path)}: {field} is missing", hint=self.hint)
        if kind := _TYPE.search(text):
            want, got = (
                " or ".join(_WORDS.get(word.strip(), word.strip()) for word in side.split("|"))
                for side in (kind["want"], kind["got"])
            )
            hint = 'put the value in quotes: "..."' if kind["want"] == "str" else self.hint
            return UsageError(f"{self.at(path)}: {path} must be {want}, not {got}", hint=hint)
        # A check of the model itself names its field, from the root or from where msgspec's path ends.
        own = text.split(" ", 1)[0].rstrip(":")
        if own in self.lines:
            return UsageError(f"{self.at(own)}: {text}", hint=self.hint)
        if re.fullmatch(r"\w+", own) and text.startswith(f"{own}: ") and path:
            return UsageError(f"{self.at(f'{path}.{own}')}: {path}.{text}", hint=self.hint)
        return UsageError(f"{self.at(path)}: {f'{path}: ' if path else ''}{text}", hint=self.hint)


def _yaml_message(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else str(problem)


def _children(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key.value, key, value


def _lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    for key, key_node, value in _children(node):
        inner = f"{path}.{key}" if path else key
        yield inner, key_node.start_mark.line + 1
        yield from _lines(value, inner)


def _no_duplicates(node: yaml.Node, path: str, name: str) -> None:
    # YAML forbids repeated keys, PyYAML lets the last one win: then half a job would be ignored.
    seen: set[str] = set()
    for key, key_node, value in _children(node):
        inner = f"{path}.{key}" if path else key
        if key in seen:
            line = key_node.start_mark.line + 1
            raise UsageError(f"{name}:{line}: {inner} is given twice", hint="keep one of them")
        seen.add(key)
        _no_duplicates(value, inner, name)
