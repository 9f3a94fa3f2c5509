from __future__ import annotations

import pytest

from dtesx.base.errors import CommandFailed
from dtesx.base.run import run, spawn

pytestmark = pytest.mark.integration


def test_output_and_status_come_back() -> None:
    done = run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"in", ok=(0, 3))
    assert (done.stdout, done.stderr, done.status) == (b"in", b"err\n", 3)


def test_stdin_is_closed_and_the_environment_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    done = run(["sh", "-c", "cat; env"])
    assert "SECRET" not in done.text
    assert "LC_ALL=C.UTF-8" in done.text


def test_a_failure_says_what_the_program_said() -> None:
    with pytest.raises(CommandFailed, match="status 1: no luck"):
        run(["sh", "-c", "echo no luck >&2; exit 1"])


def test_a_missing_program_says_what_to_install() -> None:
    with pytest.raises(CommandFailed, match="not installed") as caught:
        run(["dtesx-no-such-program"], hint="install it")
    assert caught.value.hint == "install it"
    with pytest.raises(CommandFailed, match="not installed"):
        spawn(["dtesx-no-such-program"])


def test_a_hanging_program_is_ended() -> None:
    with pytest.raises(CommandFailed, match="did not end within"):
        run(["sleep", "60"], timeout=0.2)
