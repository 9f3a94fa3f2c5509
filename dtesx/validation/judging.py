"""From facts to findings: each check gives its errors and warnings, or says that it passed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from dtesx.model.validation import Check, Finding, Verdict

F = TypeVar("F", contravariant=True)


@dataclass(frozen=True)
class Judge(Generic[F]):
    """A check: the errors and warnings that it sees in some facts, and what it says when it sees none."""

    check: Check
    passed: str
    look: Callable[[F], Iterable[Finding]]


def known(_facts: object) -> Iterable[Finding]:
    """Passed as soon as there are facts: where the check fails, a problem is in their place."""
    return ()


def judged(judges: Iterable[Judge[F]], facts: F) -> Iterator[Finding]:
    """What the checks say about these facts."""
    for judge in judges:
        found = tuple(judge.look(facts))
        yield from found or (Finding(judge.check, Verdict.PASSED, judge.passed),)


def error(check: Check, message: str, hint: str, fix: str = "") -> Finding:
    """Something that keeps the job from being carried out."""
    return Finding(check, Verdict.ERROR, message, hint, fix)


def warning(check: Check, message: str, hint: str = "") -> Finding:
    """Something that may surprise later."""
    return Finding(check, Verdict.WARNING, message, hint)
