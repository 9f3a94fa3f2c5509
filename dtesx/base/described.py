"""Types that msgspec may decode from any thread."""

from __future__ import annotations

import threading
from typing import TypeVar

import msgspec

T = TypeVar("T")

_KNOWN: set[object] = set()
_DESCRIBING = threading.Lock()


def described(kind: type[T]) -> type[T]:
    """The same type, for ``msgspec.json.decode(data, type=described(Kind))`` and all that is like it.

    msgspec (0.22) describes a dataclass or a struct when it first meets it, and other threads already see
    the half of it that is done: the process dies of a segmentation fault. So one at a time is described.
    """
    if kind not in _KNOWN:
        with _DESCRIBING:
            msgspec.json.Decoder(kind)
            _KNOWN.add(kind)
    return kind
