"""Shows a one-shot mirror while it runs: one live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from dtesx.cli import output
from dtesx.cli.formats import seconds, size
from dtesx.model.request import MirrorPhase
from dtesx.model.stats import MirrorStats

if TYPE_CHECKING:
    from rich.live import Live

# The rate is that of the last seconds, so that it follows what the link does now.
_RATE_SECONDS = 5.0
_LINE_SECONDS = 10.0
_WAITING = {
    MirrorPhase.CONNECTING: "connecting",
    MirrorPhase.PAUSED: "paused",
    MirrorPhase.SCHEDULED: "scheduled: waiting until data may travel",
    MirrorPhase.TARGET_PAUSED: "the target is paused; waiting until it goes on",
    MirrorPhase.TARGET_FULL: "no space is left on the target; waiting for some",
}


class MirrorView(Protocol):
    """Something that is told where a mirror stands, several times a second, and shows it."""

    def show(self, phase: MirrorPhase, stats: MirrorStats) -> None:
        """The present state."""

    def close(self) -> None:
        """The mirror ended."""


class Silent:
    """Shows nothing (``--json``)."""

    def show(self, phase: MirrorPhase, stats: MirrorStats) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Pace:
    """How fast a mirror is at present. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, count: int) -> None:
        """``count`` bytes are done by now."""
        now = self._clock()
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_SECONDS:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Bytes a second; 0 while it is not known."""
        (begin, before), (end, after) = self._seen[0], self._seen[-1]
        return max(0, after - before) / (end - begin) if end > begin else 0.0


def describe(phase: MirrorPhase, stats: MirrorStats, rate: float) -> str:
    """A mirror's state in one line: ``4120 of 9000 files, 1.2 of 3.4 GiB, 80.0 MiB/s, 35%, 28 s left``."""
    if phase is MirrorPhase.CALCULATING:
        return f"calculating: {stats.files_total} files, {size(stats.bytes_total)}"
    if phase in _WAITING:
        return _WAITING[phase]
    files, done = stats.files_sent + stats.files_skipped, stats.bytes_sent + stats.bytes_skipped
    speed = f"{size(round(rate))}/s"
    if not stats.bytes_total:
        return f"{files} files, {size(done)}, {speed}"
    left = max(0, stats.bytes_total - done)
    text = f"{files} of {stats.files_total} files, {size(done)} of {size(stats.bytes_total)}, {speed}"
    text += f", {min(100, 100 * done // stats.bytes_total)}%"
    return f"{text}, {seconds(left / rate)} left" if rate else text


class Lines:
    """A line every ten seconds, and one at every change of phase, for logs and pipes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pace = Pace(clock)
        self._phase: MirrorPhase | None = None
        self._next = 0.0

    def show(self, phase: MirrorPhase, stats: MirrorStats) -> None:
        self._pace.note(stats.bytes_sent + stats.bytes_skipped)
        now = self._clock()
        if phase is not self._phase:
            self._phase, self._next = phase, now + _LINE_SECONDS
            if phase in _WAITING:
                output.line(describe(phase, stats, 0.0))
        elif now >= self._next:
            self._next = now + _LINE_SECONDS
            output.line(describe(phase, stats, self._pace.rate))

    def close(self) -> None:
        """Everything was said already."""


class LiveLine:
    """One line that is redrawn in place and gone at the end."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._live: Live | None = None

    def show(self, phase: MirrorPhase, stats: MirrorStats) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._pace.note(stats.bytes_sent + stats.bytes_skipped)
        text = describe(phase, stats, self._pace.rate)
        if self._live is None:
            self._live = Live(
                Spinner("dots", text=text), console=output.console(), refresh_per_second=8, transient=True
            )
            self._live.start()
        else:
            spinner = self._live.renderable
            assert isinstance(spinner, Spinner)
            spinner.update(text=text)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def view(*, as_json: bool) -> MirrorView:
    """The view that suits the standard output."""
    if as_json:
        return Silent()
    return LiveLine() if output.console().is_terminal else Lines()
