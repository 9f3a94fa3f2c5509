"""Reads ``job.yaml``: every mistake is reported with the file, the line and the field it is in."""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtesx.base.errors import UsageError
from dtesx.model.job import JobSpec

if TYPE_CHECKING:
    import yaml

_HINT = "the fields are explained by: dtesx job schema"
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


def load(path: Path) -> JobSpec:
    """Read a job file (``-``: standard input). UsageError names file, line and field."""
    name = "standard input" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the job file {name} cannot be read: {error}", hint="check the path") from error
    return parse(text, name)


def parse(text: str, name: str) -> JobSpec:
    """Turn the text of a job file into a JobSpec; ``name`` is the file's, for messages."""
    import msgspec
    import yaml

    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: not valid YAML: {_yaml_message(error)}", hint=_HINT) from error
    except (ValueError, RecursionError) as error:
        # PyYAML turns 2026-99-99 into a date with int() and a deep file into a deep recursion.
        raise UsageError(f"{name}: not valid YAML: {error}", hint=_HINT) from error
    if tree is None or not isinstance(data, dict):
        raise UsageError(f"{name}: a job file is a list of fields, such as name: web1", hint=_HINT)
    lines = dict(_lines(tree, ""))
    _no_duplicates(tree, "", name)
    _no_strangers(data, JobSpec, "", _Place(name, lines))
    try:
        return msgspec.convert(data, JobSpec, strict=True)
    except msgspec.ValidationError as error:
        raise _Place(name, lines).explain(str(error)) from error


@dataclass(frozen=True)
class _Place:
    """Where fields are in a file: ``lines`` maps ``replica.cpus`` to its line."""

    file: str
    lines: dict[str, int]

    def at(self, path: str) -> str:
        """``job.yaml:7`` for a field, or the file alone when the field is not in it."""
        line = self.lines.get(path)
        return f"{self.file}:{line}" if line else self.file

    def explain(self, message: str) -> UsageError:
        """Turn msgspec's message, such as "Expected `int`, got `str` - at `$.replica.cpus`", for people."""
        match = _AT.match(message)
        text, path = (match["text"], (match["path"] or "").lstrip(".")) if match else (message, "")
        if missing := _MISSING.search(text):
            field = f"{path}.{missing['field']}" if path else missing["field"]
            return UsageError(f"{self.at(path)}: {field} is missing", hint=_HINT)
        if kind := _TYPE.search(text):
            want, got = (
                " or ".join(_WORDS.get(word.strip(), word.strip()) for word in side.split("|"))
                for side in (kind["want"], kind["got"])
            )
            hint = 'put the value in quotes: "..."' if kind["want"] == "str" else _HINT
            return UsageError(f"{self.at(path)}: {path} must be {want}, not {got}", hint=hint)
        # A check of the model itself names its field, which may be deeper than msgspec's path.
        own = text.split(" ", 1)[0].rstrip(":")
        if own in self.lines:
            return UsageError(f"{self.at(own)}: {text}", hint=_HINT)
        return UsageError(f"{self.at(path)}: {f'{path}: ' if path else ''}{text}", hint=_HINT)


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


def _no_strangers(data: dict[Any, Any], kind: type, path: str, place: _Place) -> None:
    """Refuse fields that the dataclass ``kind`` does not have, in all depths."""
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    for key, value in data.items():
        inner = f"{path}.{key}" if path else str(key)
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            guess = f"; did you mean {near[0]}?" if near else ""
            fields = ", ".join(known)
            raise UsageError(
                f"{place.at(inner)}: unknown field {inner}{guess}",
                hint=f"{path or 'a job'} has the fields {fields}",
            )
        if dataclasses.is_dataclass(hints[key]) and isinstance(value, dict):
            _no_strangers(value, typing.cast(type, hints[key]), inner, place)
