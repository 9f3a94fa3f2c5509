"""Replication sets in YAML files, to be edited by people and commands alike (docs/rules.md)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dtesx.base.errors import Conflict, NotFound, UsageError
from dtesx.base.files import write_atomic
from dtesx.model.rules import ReplicationSet, Rule, RuleType

_HINT = "docs/rules.md says how replication sets are written"
_SET_FIELDS = frozenset({"name", "generation", "rules"})
_FLAGS = ("recursive", "wildcards")
_READABLE = 0o644


def load(path: Path) -> ReplicationSet:
    """Read a set; NotFound when there is no such file, UsageError says what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}", hint="dtesx repset add makes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the file {path} cannot be read: {error}", hint="check the path") from error
    return parse(text, str(path))


def save(path: Path, replication_set: ReplicationSet, expected: int) -> ReplicationSet:
    """Save a set durably, with the next generation number, and return it so.

    ``expected`` is the generation that the change began with, 0 for a set that is new. Raises
    Conflict, and changes nothing, when the file has another one by now: somebody else saved it.
    """
    with _locked(path):
        present = load(path).generation if path.exists() else 0
        if present != expected:
            raise Conflict(
                f"the set in {path} was saved by somebody else: its generation is {present}, not {expected}",
                hint="look at it (dtesx repset show) and make the change again",
            )
        saved = ReplicationSet(replication_set.name, present + 1, replication_set.rules)
        mode = path.stat().st_mode & 0o777 if path.exists() else _READABLE
        write_atomic(path, dump(saved).encode(), mode=mode)
        return saved


def parse(text: str, name: str) -> ReplicationSet:
    """Turn the text of a set's file into the set; ``name`` is the file's, for messages."""
    import yaml

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{name}: not valid YAML: {error}", hint=_HINT) from error
    try:
        return _set(data)
    except ValueError as error:
        raise UsageError(f"{name}: {error}", hint=_HINT) from error


def dump(replication_set: ReplicationSet) -> str:
    """The set as YAML; ``parse`` turns it back."""
    import yaml

    data = {
        "name": replication_set.name,
        "generation": replication_set.generation,
        "rules": [_written(rule) for rule in replication_set.rules],
    }
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


def _written(rule: Rule) -> dict[str, Any]:
    flags = {flag: False for flag in _FLAGS if not getattr(rule, flag)}
    return {rule.type.value: rule.path, **flags}


def _set(data: object) -> ReplicationSet:
    fields = _known(data, _SET_FIELDS)
    name, generation, rules = fields.get("name"), fields.get("generation", 0), fields.get("rules", [])
    if not isinstance(name, str):
        raise ValueError("name: a text is wanted; put it in quotes if it looks like something else")
    if not isinstance(generation, int) or isinstance(generation, bool):
        raise ValueError("generation: a number is wanted")
    if not isinstance(rules, list):
        raise ValueError("rules: a list is wanted, such as - include: documents")
    return ReplicationSet(name, generation, tuple(_rule(rule, at) for at, rule in enumerate(rules, 1)))


def _rule(data: object, number: int) -> Rule:
    try:
        fields = _known(data, frozenset({*map(str, RuleType), *_FLAGS}))
        kinds = [kind for kind in RuleType if kind in fields]
        if len(kinds) != 1:
            raise ValueError("either include or exclude is wanted")
        path = fields[kinds[0]]
        if not isinstance(path, str):
            raise ValueError(
                f"{kinds[0]}: a path is wanted; put it in quotes if it looks like something else"
            )
        flags = {flag: fields.get(flag, True) for flag in _FLAGS}
        for flag, value in flags.items():
            if not isinstance(value, bool):
                raise ValueError(f"{flag}: true or false is wanted")
        return Rule(path, kinds[0], **flags)
    except ValueError as error:
        raise ValueError(f"rule {number}: {error}") from error


def _known(data: object, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"fields are wanted: {', '.join(sorted(known))}")
    if unknown := [str(key) for key in data if key not in known]:
        raise ValueError(f"unknown field {unknown[0]}; there are {', '.join(sorted(known))}")
    return data


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # The directory, as the file itself is replaced. Whoever waits here finds another generation.
    try:
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(
            f"the file {path} cannot be written: {error.strerror}", hint="check the path"
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
