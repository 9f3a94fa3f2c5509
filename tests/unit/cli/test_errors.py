"""Every error leaves as message, hint and exit code; in JSON as one document."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from dtesx.base.errors import (
    Conflict,
    DtesxError,
    ExitCode,
    Refused,
    TargetFull,
    UntrustedCertificate,
    VSphereError,
)
from dtesx.cli import exits

from .conftest import THUMBPRINT, FakeApi, Run


def _errors() -> list[DtesxError]:
    return [
        cls("it happened", hint="do this")
        for cls in (DtesxError, Refused, Conflict, TargetFull, VSphereError)
    ]


@pytest.mark.parametrize("error", _errors(), ids=lambda error: str(error.code))
def test_errors_of_the_appliance(api: FakeApi, run: Run, error: DtesxError) -> None:
    api.fail = error
    done = run("job", "list")
    assert done.code == error.exit_code
    assert done.err == "error: it happened\nhint: do this\n"
    assert done.out == ""
    as_json = run("job", "list", "--json")
    assert as_json.code == error.exit_code
    assert as_json.document == {"error": {"code": error.code, "message": "it happened", "hint": "do this"}}
    assert as_json.err == ""


def test_an_untrusted_certificate_carries_its_thumbprint(api: FakeApi, run: Run) -> None:
    api.fail = UntrustedCertificate("who is that", thumbprint=THUMBPRINT)
    assert run("job", "list", "--json").document["error"]["thumbprint"] == THUMBPRINT


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("job shwo web", ["shwo", "show"]),
        ("job show", ["job", "dtesx job show --help"]),
        ("job show web --wrong", ["--wrong"]),
        ("server add alpha h --port 99999", ["--port", "65535"]),
        ("job list", ["not logged in", "dtesx login"]),
        ("server add alpha h", ["no token", "--token-file"]),
        ("login http://x --token-file y", ["https://ADDRESS:6325"]),
        ("login https://x:1e9 --token-file y", ["https://ADDRESS:6325"]),
    ],
)
def test_wrong_requests_exit_2_and_say_what_is_right(run: Run, line: str, words: list[str]) -> None:
    done = run(*line.split())
    assert done.code == ExitCode.USAGE
    for word in words:
        assert word in done.err
    as_json = run(*line.split(), "--json")
    assert as_json.code == ExitCode.USAGE
    assert as_json.document["error"]["code"] == "usage"


def test_a_bug_is_called_one_and_its_traceback_kept(
    api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "jobs", lambda: 1 / 0)
    done = run("job", "list")
    assert done.code == ExitCode.FAILED
    assert "bug in dtesx: ZeroDivisionError" in done.err
    assert "Traceback" not in done.err
    found = re.search(r"/\S+\.log", done.err)
    assert found
    kept = Path(found[0])
    assert "ZeroDivisionError" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.unlink()


def test_debug_shows_the_traceback(api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "jobs", lambda: 1 / 0)
    done = run("--debug", "job", "list")
    assert "Traceback" in done.err
    assert done.code == ExitCode.FAILED


def test_the_table_of_exit_codes_is_complete() -> None:
    assert set(exits.MEANING) == set(ExitCode)
    assert all(f"{int(code):>3}  " in exits.table() for code in ExitCode)


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    for line in ([], ["job"], ["server"]):
        done = run(*line)
        assert done.code == ExitCode.USAGE
        assert done.err.startswith("Usage: dtesx")


def test_a_missing_extra_is_no_bug(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "dtesx.management.server", raising=False)
    monkeypatch.delitem(sys.modules, "dtesx.services.source", raising=False)
    done = run("service", "source", "--state", str(tmp_path))
    assert done.code == 2
    assert "dtesx[source]" in done.err
