"""Pausing the places of a target on this machine, whether it runs or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from dtesx.management import local_calls
from dtesx.model.target import Paused
from dtesx.replication.pausing import Pauses

WAIT = 20.0
"""Seconds that a command waits for what is in progress when a target is paused."""

Alone = local_calls.Alone

_PAUSE, _RESUME, _FILE = "pause", "resume", "paused.json"
_ANSWER = 10.0


def pauses(state: Path) -> Pauses:
    """What is paused of the target whose state is in ``state``; for the process that holds its lock."""
    return Pauses(state / _FILE)


def answers(kept: Pauses, resumed: Callable[[str], None]) -> Mapping[str, local_calls.Answer]:
    """The calls by which a target that runs is paused and resumed; ``resumed`` gets what has to go on."""

    def pause(body: bytes) -> Paused:
        return kept.pause(msgspec.json.decode(body, type=str), WAIT)

    def resume(body: bytes) -> Paused:
        name = msgspec.json.decode(body, type=str)
        paused = kept.resume(name)
        resumed(name)
        return paused

    return {_PAUSE: pause, _RESUME: resume}


def pause(state: Path, name: str, alone: Alone) -> Paused:
    """Pause a place (empty: all of them) and wait, at most WAIT seconds, for what is in progress.

    ``alone`` holds the lock of the directory. What this returns from outlives a restart.
    """
    return _order(state, _PAUSE, name, alone, lambda kept: kept.pause(name, 0))


def resume(state: Path, name: str, alone: Alone) -> Paused:
    """Have a place (empty: all of them) go on; ``alone`` holds the lock of the directory.

    Raises Conflict when it is paused together with all others.
    """
    return _order(state, _RESUME, name, alone, lambda kept: kept.resume(name))


def _order(state: Path, call: str, name: str, alone: Alone, otherwise: Callable[[Pauses], Paused]) -> Paused:
    def ask() -> Paused:
        return local_calls.call(state, call, name, Paused, timeout=WAIT + _ANSWER)

    return local_calls.ask_or(ask, alone, lambda: otherwise(pauses(state)))
