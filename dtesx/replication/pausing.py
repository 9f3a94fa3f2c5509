"""Pausing places of a target: what is in progress is completed, and nothing more is applied."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import Conflict
from dtesx.base.files import write_atomic
from dtesx.model.target import Paused


class Gate:
    """Whether the sessions of one place may work, and whether one does. For any threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._shut = False
        self._working = 0

    @property
    def shut(self) -> bool:
        """Whether a session is to rest."""
        return self._shut

    def turn(self, *, shut: bool) -> None:
        """Shut or open the gate."""
        self._shut = shut

    @contextmanager
    def working(self) -> Iterator[None]:
        """A session works at the place."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """A session that works does nothing for the time being."""
        self._count(-1)
        try:
            yield
        finally:
            self._count(1)

    def wait(self, seconds: float) -> bool:
        """Wait until nobody works, at most so long; tell whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._working, seconds)

    def _count(self, change: int) -> None:
        with self._changed:
            self._working += change
            self._changed.notify_all()


class Pauses:
    """The paused places of one target, kept in ``file`` so that a restart forgets none. For any threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._gates: dict[str, Gate] = {}
        try:
            self._paused = msgspec.json.decode(file.read_bytes(), type=described(Paused))
        except FileNotFoundError:
            self._paused = Paused()

    @property
    def paused(self) -> Paused:
        """What is paused now."""
        return self._paused

    def gate(self, name: str) -> Gate:
        """The gate of a place; always the same one."""
        with self._lock:
            if name not in self._gates:
                self._gates[name] = Gate()
                self._gates[name].turn(shut=self._paused.holds(name))
            return self._gates[name]

    def pause(self, name: str, seconds: float) -> Paused:
        """Pause a place (empty: all of them) and wait, at most ``seconds``, for what is in progress.

        What this returns from is on disk.
        """
        with self._lock:
            names = {*self._paused.names, name} - {""}
            self._keep(Paused(self._paused.all or not name, tuple(sorted(names))))
            gates = [gate for gate in self._gates.values() if gate.shut]
        deadline = time.monotonic() + seconds
        rests = all(gate.wait(max(0.0, deadline - time.monotonic())) for gate in gates)
        return replace(self._paused, pending=not rests)

    def resume(self, name: str) -> Paused:
        """Have a place (empty: all of them) go on. Raises Conflict when it is paused with all others."""
        with self._lock:
            if name and self._paused.all:
                raise Conflict(
                    f"{name} is paused because all of the target is", hint="resume all, without a name"
                )
            names = set(self._paused.names) - {name} if name else set()
            self._keep(Paused(False, tuple(sorted(names))))
            return self._paused

    def _keep(self, paused: Paused) -> None:
        write_atomic(self._file, msgspec.json.encode(paused))
        self._paused = paused
        for name, gate in self._gates.items():
            gate.turn(shut=paused.holds(name))
