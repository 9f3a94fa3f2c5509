"""Numbers as people read them."""

from __future__ import annotations

import time

from dtesx.model.epoch import Epoch

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: int) -> str:
    """Bytes with a binary unit: ``1.5 GiB``."""
    value = float(count)
    for unit in _UNITS:
        if abs(value) < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{int(value)} B" if unit == "B" else f"{value:.1f} {unit}"


def rate(limit: int) -> str:
    """A bandwidth limit in bytes per second: ``9.5 MiB/s``, ``no limit`` for 0."""
    return f"{size(limit)}/s" if limit else "no limit"


def seconds(duration: float) -> str:
    """A duration: ``0.4 s``, ``2 min 05 s``, ``1 h 02 min``."""
    if duration < 60:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def moment(stamp: float) -> str:
    """A Unix time in the local zone, ``-`` for 0."""
    if not stamp:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stamp))


def epoch_line(epoch: Epoch) -> str:
    """An epoch: ``812, crash-consistent, of 2026-11-21 14:02:11``."""
    return f"{epoch.number}, {epoch.kind}, of {moment(epoch.taken)}"
