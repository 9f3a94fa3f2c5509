"""Sizes, rates and times as users write them. Whatever is no quantity raises ValueError."""

from __future__ import annotations

import re
from datetime import datetime

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_SIZES: dict[str, int] = {"": 1, "b": 1} | {
    f"{letter}{suffix}": base ** (power + 1)
    for power, letter in enumerate("kmgt")
    for suffix, base in (("", 1024), ("ib", 1024), ("b", 1000))
}
_BITS = {"bit": 1, "kbit": 1000, "mbit": 1000**2, "gbit": 1000**3}
_TIMES = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse_size(text: str) -> int:
    """Bytes: ``500``, ``64k``, ``10MB`` (10^6), ``10MiB`` (2^20)."""
    number, unit = _split(text, "a size such as 500k, 10MB or 2GiB")
    if unit not in _SIZES:
        raise ValueError(f"{text!r} is no size; write 500k, 10MB or 2GiB")
    return round(number * _SIZES[unit])


def parse_rate(text: str) -> int:
    """Bytes per second: ``10MB/s``, ``512k``, or ``80Mbit/s``."""
    plain = text.removesuffix("/s")
    number, unit = _split(plain, "a rate such as 10MB/s or 80Mbit/s")
    if unit in _BITS:
        return round(number * _BITS[unit] / 8)
    if unit not in _SIZES:
        raise ValueError(f"{text!r} is no rate; write 10MB/s or 80Mbit/s")
    return round(number * _SIZES[unit])


def parse_duration(text: str) -> int:
    """Seconds: ``90s``, ``30m``, ``12h``, ``7d``, ``2w``."""
    number, unit = _split(text, "a time such as 30m, 12h or 7d")
    if unit not in _TIMES:
        raise ValueError(f"{text!r} is no time; write 90s, 30m, 12h, 7d or 2w")
    return round(number * _TIMES[unit])


def parse_moment(text: str) -> datetime:
    """A date and a time of day: ``2026-11-21 22:00``. Raises ValueError."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no date and time; write 2026-11-21 22:00") from error


def _split(text: str, wanted: str) -> tuple[float, str]:
    match = _NUMBER.fullmatch(text.strip())
    if match is None or not text.isascii():
        raise ValueError(f"{text!r} is not {wanted}")
    return float(match[1]), match[2].lower()
