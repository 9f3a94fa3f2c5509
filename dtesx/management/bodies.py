"""Bodies: from outside (JSON, YAML) into model values with errors that name the field, and out again."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import UsageError

T = TypeVar("T")

_PATH = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<field>[^`]*)`$", re.DOTALL)


def json_body(data: bytes, kind: type[T]) -> T:
    """Decode a JSON body; raises UsageError that names the field which is wrong."""
    try:
        plain = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the body is not JSON: {error}", hint="send a JSON object as Content-Type application/json"
        ) from error
    return convert(plain, kind)


def convert(plain: object, kind: type[T]) -> T:
    """Make a model value from plain dicts, lists and scalars (JSON or YAML, already parsed).

    Unlike msgspec alone this refuses fields that do not exist: a misspelt option must not be
    ignored. Raises UsageError.
    """
    unknown = unknown_field(plain, kind)
    if unknown is not None:
        path, names = unknown
        close = difflib.get_close_matches(path.rsplit(".", 1)[-1], names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the fields here are: {', '.join(names)}"
        raise UsageError(f"{path}: there is no such field", hint=hint)
    try:
        return msgspec.convert(plain, described(kind))
    except msgspec.ValidationError as error:
        raise UsageError(_explain(str(error)), hint="correct this field and repeat the request") from error


def encoded(value: object) -> bytes:
    """JSON of a model value with every field in it.

    msgspec leaves fields at their class defaults out of what it decoded, and so would leave them
    out again when such a value is sent on: callers of an API are to find all fields, always.
    """
    _complete(value)
    return msgspec.json.encode(value)


def _complete(value: object) -> None:
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            part = getattr(value, field.name)
            object.__setattr__(value, field.name, part)  # what it has already, made its own
            _complete(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            _complete(part)
    elif isinstance(value, dict):
        for part in value.values():
            _complete(part)


def _explain(text: str) -> str:
    found = _PATH.match(text)
    if found is None:
        return text.replace("Object missing required field", "missing field")
    what = found["what"].replace("Object missing required field", "missing field")
    field = found["field"]
    # Checks of the model name their field themselves.
    return what if what.startswith(field) else f"{field}: {what}"


def unknown_field(plain: object, kind: object, path: str = "") -> tuple[str, list[str]] | None:
    """The first field (path, and the names that exist there) that the type does not have."""
    kind = _concrete(kind)
    if isinstance(plain, dict) and isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [f.name for f in fields(kind)]
        for key, value in plain.items():
            here = f"{path}.{key}" if path else str(key)
            if key not in names:
                return here, names
            found = unknown_field(value, hints[key], here)
            if found is not None:
                return found
    for here, value, inner in _contents(plain, kind, path):
        found = unknown_field(value, inner, here)
        if found is not None:
            return found
    return None


def _contents(plain: object, kind: object, path: str) -> Iterator[tuple[str, object, object]]:
    """What a list or a mapping holds: path, value and type."""
    origin, types = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(plain, list) and origin is tuple:
        yield from ((f"{path}[{number}]", value, types[0]) for number, value in enumerate(plain))
    elif isinstance(plain, dict) and origin is Mapping:
        yield from ((f"{path}.{key}", value, types[1]) for key, value in plain.items())


def _concrete(kind: Any) -> Any:
    """The type inside ``X | None``."""
    if typing.get_origin(kind) in (UnionType, typing.Union):
        return next(arg for arg in typing.get_args(kind) if arg is not type(None))
    return kind
