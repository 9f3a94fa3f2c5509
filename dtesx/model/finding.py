"""What a check found: a sentence for people, an id for programs, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from dtesx.model.validation import Verdict


@dataclass(frozen=True)
class Finding:
    """One result of a check. ``id`` (``network.card-missing``) stays the same over versions."""

    id: str
    verdict: Verdict
    message: str
    hint: str = ""
