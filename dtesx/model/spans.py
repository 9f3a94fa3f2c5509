"""Parts of a file."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]
"""From the first byte to before the last."""

Spans = tuple[Span, ...]
"""Sorted, and apart from each other."""


def merge(spans: Iterable[Span]) -> Spans:
    """The same bytes, sorted, each once."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = merged[-1][0], end
        else:
            merged.append((start, end))
    return tuple(merged)
