"""What may be asked of a mirror while it runs."""

from __future__ import annotations

import threading


class MirrorControl:
    """Has a mirror pause, go on, stop or be slower; from any thread, at any time, also before it began.

    A paused mirror reads nothing and queues nothing. What it has queued still travels, and it goes on
    where it was. A stopped one ends; the next one goes on with what differs. ``bandwidth`` (bytes/s on
    the wire, 0 for no limit) takes the place of the link's limits, and of its plan's; None leaves
    these in force.
    """

    def __init__(self, *, paused: bool = False, bandwidth: int | None = None) -> None:
        self.bandwidth = bandwidth
        self._paused = paused
        self._stopped = threading.Event()

    @property
    def paused(self) -> bool:
        """Whether the mirror is to wait."""
        return self._paused

    @property
    def stopped(self) -> bool:
        """Whether the mirror is to end."""
        return self._stopped.is_set()

    def pause(self) -> None:
        """Have the mirror wait until ``resume`` or ``stop``."""
        self._paused = True

    def resume(self) -> None:
        """Have the mirror go on."""
        self._paused = False

    def stop(self) -> None:
        """Have the mirror end."""
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the mirror is to end."""
        self._stopped.wait(seconds)
