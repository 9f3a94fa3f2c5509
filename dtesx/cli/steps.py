"""Shows lists of steps while they run: live on a terminal, line by line elsewhere, or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from dtesx.cli import formats, output
from dtesx.model.job import Step, StepState

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.live import Live

# Shorter steps need no bar, no clock.
_WORTH_A_CLOCK = 2.0
_MARKS = {
    StepState.PENDING: ("·", "dim"),
    StepState.RUNNING: ("▸", "cyan"),
    StepState.DONE: ("✓", "green"),
    StepState.FAILED: ("✗", "bold red"),
    StepState.INTERRUPTED: ("!", "yellow"),
}


class StepsView(Protocol):
    """Something that is told the state of a list of steps, again and again, and shows it."""

    def show(self, title: str, steps: Sequence[Step]) -> None:
        """The present state."""

    def close(self) -> None:
        """The last state was shown."""


class Silent:
    """Shows nothing (``--json``)."""

    def show(self, title: str, steps: Sequence[Step]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """One line for every step that began or ended, for logs and pipes."""

    def __init__(self) -> None:
        self._title = ""
        self._said: dict[str, StepState] = {}

    def show(self, title: str, steps: Sequence[Step]) -> None:
        if title != self._title:
            self._title = title
            output.line(title)
        for step in steps:
            if step.state not in (StepState.PENDING, self._said.get(step.name)):
                self._said[step.name] = step.state
                output.line("  " + describe(step))

    def close(self) -> None:
        """Everything was said already."""


class Bars:
    """The whole list, redrawn in place, with a spinner and a bar at the running step."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._state: tuple[str, tuple[Step, ...]] = ("", ())

    def show(self, title: str, steps: Sequence[Step]) -> None:
        from rich.live import Live

        self._state = (title, tuple(steps))
        if self._live is None:
            # Drawn anew at every refresh, so that clocks run while nothing else is told.
            self._live = Live(
                console=output.console(), refresh_per_second=8, get_renderable=lambda: draw(*self._state)
            )
            self._live.start()

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def view(*, as_json: bool) -> StepsView:
    """The view that suits the standard output."""
    if as_json:
        return Silent()
    return Bars() if output.console().is_terminal else Lines()


def describe(step: Step) -> str:
    """A step in one line of text: ``✓ Mirror files (12.3 s)``."""
    mark, _ = _MARKS[step.state]
    if step.state is StepState.RUNNING:
        return f"{mark} {step.title} ..."
    detail = f" - {step.detail}" if step.detail else ""
    return f"{mark} {_ended(step)}{detail}"


def _ended(step: Step) -> str:
    took = f" ({formats.seconds(step.seconds)})" if step.seconds else ""
    return f"{step.title}{took}{' interrupted' if step.state is StepState.INTERRUPTED else ''}"


def draw(title: str, steps: Iterable[Step], *, now: float | None = None) -> Group:
    """The list as a rich renderable; ``now`` (Unix seconds) is the clock for running steps."""
    from rich.console import Group
    from rich.text import Text

    moment = time.time() if now is None else now
    rows: list[RenderableType] = [Text(title, style="bold")]
    for step in steps:
        rows.extend(_rows(step, moment))
    return Group(*rows)


def _rows(step: Step, now: float) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.spinner import Spinner
    from rich.text import Text

    if step.state is not StepState.RUNNING:
        mark, style = _MARKS[step.state]
        text = Text(f"  {mark} ", style=style)
        text.append(_ended(step), style="dim" if step.state is StepState.PENDING else "default")
        if step.detail:
            text.append(f" - {step.detail}", style="dim")
        return [text]
    running = Text(step.title)
    elapsed = max(0.0, now - step.started) if step.started else 0.0
    if elapsed >= _WORTH_A_CLOCK:
        running.append(f"  {formats.seconds(elapsed)}", style="cyan")
    if step.detail:
        running.append(f"  {step.detail}", style="dim")
    rows: list[RenderableType] = [Padding(Spinner("dots", text=running), (0, 0, 0, 2))]
    if step.fraction >= 0 and elapsed >= _WORTH_A_CLOCK:
        bar = ProgressBar(total=1.0, completed=min(1.0, step.fraction), width=40)
        rows.append(Padding(bar, (0, 0, 0, 4)))
    return rows


class Activity:
    """One thing that takes a while: a spinner with its latest line, or those lines one by one."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        self._view = view(as_json=quiet)
        self._lines = isinstance(self._view, Lines)
        self._title = title
        self._step = Step("activity", title, StepState.RUNNING, started=time.time())

    def say(self, line: str) -> None:
        """What it is doing now."""
        self._step = replace(self._step, detail=line)
        if self._lines:
            output.line(line)
        else:
            self._view.show(self._title, (self._step,))

    def __enter__(self) -> Activity:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._view.close()
