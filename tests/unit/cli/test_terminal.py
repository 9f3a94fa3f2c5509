"""Terminals: live steps, colours, NO_COLOR; pipes get neither."""

from __future__ import annotations

import io
import sys
import time

import pytest
from rich.console import Console

from dtesx.cli import formats, output, steps
from dtesx.model.job import Step, StepState


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def _on_terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    # Not a fixture: pytest puts its own sys.stdout back between setup and test.
    stream = _Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stream


def test_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _on_terminal(monkeypatch)
    output.line("hello", style="red")
    assert "\x1b[31m" in terminal.getvalue()


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _on_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    output.line("hello", style="bold red")
    output.table(("A",), [("b",)], empty="")
    assert "\x1b" not in terminal.getvalue()


def test_markup_of_names_is_printed_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _on_terminal(monkeypatch)
    output.table(("NAME",), [("[red]x[/red]",)], empty="")
    assert "[red]x[/red]" in terminal.getvalue()


def test_a_wide_table_is_not_folded_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("NAME", "LONG"), [("x", "y" * 300)], empty="")
    assert "y" * 300 in capsys.readouterr().out


STEPS = (
    Step("a", "Plan", StepState.DONE, 1.0, 2.5),
    Step("b", "Mirror files", StepState.RUNNING, 10.0, detail="3 of 6", fraction=0.5),
    Step("c", "Start", StepState.PENDING),
)


def _drawn(now: float) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None, force_terminal=True)
    with console.capture() as captured:
        console.print(steps.draw("Protecting web", STEPS, now=now))
    return captured.get()


def test_a_running_step_gets_a_clock_and_a_bar_after_two_seconds() -> None:
    assert "━" not in _drawn(11.0)
    late = _drawn(75.0)
    assert "1 min 05 s" in late
    assert "3 of 6" in late
    assert "━" in late
    assert "✓ Plan (1.5 s)" in late
    assert "· Start" in late


def test_the_view_suits_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    _on_terminal(monkeypatch)
    assert isinstance(steps.view(as_json=False), steps.Bars)
    assert isinstance(steps.view(as_json=True), steps.Silent)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert isinstance(steps.view(as_json=False), steps.Lines)


def test_bars_draw_and_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _on_terminal(monkeypatch)
    bars = steps.Bars()
    bars.show("Protecting web", STEPS)
    time.sleep(0)
    bars.show("Protecting web", STEPS[:1])
    bars.close()
    bars.close()
    assert "Plan" in terminal.getvalue()
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back


def test_lines_say_each_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = steps.Lines()
    lines.show("Protecting web", STEPS)
    lines.show("Protecting web", STEPS)
    assert capsys.readouterr().out.splitlines() == [
        "Protecting web",
        "  ✓ Plan (1.5 s)",
        "  ▸ Mirror files ...",
    ]


def test_numbers_for_people() -> None:
    assert formats.size(0) == "0 B"
    assert formats.size(1536) == "1.5 KiB"
    assert formats.size(5 << 40) == "5.0 TiB"
    assert formats.size(5000 << 40) == "5000.0 TiB"
    assert formats.seconds(0.42) == "0.4 s"
    assert formats.seconds(125.4) == "2 min 05 s"
    assert formats.seconds(3720) == "1 h 02 min"
    assert formats.moment(0) == "-"
