"""Reads the file of ``--transmit``: when and how fast a mirror may transmit (docs/transmission.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from dtesx.base.errors import UsageError
from dtesx.cli.quantities import parse_duration, parse_rate, parse_size
from dtesx.model.queue import QueueLimits
from dtesx.model.transmission import Rate, Transmission, Window

_HINT = "docs/transmission.md explains the fields"


def load(path: Path) -> tuple[Transmission, QueueLimits]:
    """Read a transmission file: the plan, and the queue for what has to wait.

    UsageError names the file and the field that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the file {path} cannot be read: {error}", hint="check the path") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> tuple[Transmission, QueueLimits]:
    """Turn the text of a transmission file into its model; ``name`` is the file's, for messages."""
    import yaml

    try:
        # BaseLoader: every scalar stays text. YAML would make 21:00 the number 1260.
        data = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{name}: not valid YAML: {error}", hint=_HINT) from error
    try:
        fields = _fields(data, _FIELDS)
        queue = fields.pop("queue", QueueLimits())
        return Transmission(**fields), queue
    except ValueError as error:
        raise UsageError(f"{name}: {error}", hint=_HINT) from error


def _fields(data: object, known: dict[str, Callable[[Any], object]]) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("fields are wanted, such as window: 21:00-04:00")
    found: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            raise ValueError(f"unknown field {key}; there are {', '.join(known)}")
        try:
            found[key] = known[key](value)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{key}: {error}") from error
    return found


def _window(text: str) -> Window:
    opens, dash, closes = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is no window; write 21:00-04:00")
    return Window(_time(opens), _time(closes))


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no time of day; write 21:00") from error


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no date and time; write 2026-11-21 22:00") from error


def _span(text: str) -> timedelta:
    return timedelta(seconds=parse_duration(text))


def _percent(text: str) -> int:
    return int(text.strip().removesuffix("%"))


def _rate(data: object) -> Rate:
    fields = _fields(data, {"window": _window, "bandwidth": parse_rate})
    if len(fields) < 2:
        raise ValueError("a rate has a window and a bandwidth")
    return Rate(**fields)


def _rates(data: list[object]) -> tuple[Rate, ...]:
    if not isinstance(data, list):
        raise ValueError("a list of windows with their bandwidth")
    return tuple(map(_rate, data))


def _queue(data: object) -> QueueLimits:
    known: dict[str, Callable[[Any], object]] = {
        "memory": parse_size,
        "folder": _folder,
        "disk": parse_size,
        "minimum_free": parse_size,
        "alert": _percent,
        "pending": int,
    }
    return QueueLimits(**_fields(data, known))


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise ValueError(f"there is no directory {text}")
    return text


_FIELDS: dict[str, Callable[[Any], object]] = {
    "window": _window,
    "start": _moment,
    "interval": _span,
    "threshold": _percent,
    "time_limit": _span,
    "byte_limit": parse_size,
    "bandwidth": parse_rate,
    "rates": _rates,
    "queue": _queue,
}
