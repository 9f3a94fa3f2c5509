"""Shell completion: the script, and names from the appliance."""

from __future__ import annotations

import time

import pytest

from dtesx.base.errors import ConnectionFailed
from dtesx.cli import params, session
from dtesx.cli.main import main

from .conftest import FakeApi


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    monkeypatch.setenv("_DTESX_COMPLETE", f"source_{shell}")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert "_DTESX_COMPLETE" in capsys.readouterr().out


def test_names_come_from_the_appliance(api: FakeApi) -> None:
    assert params.complete_job("w") == ["web"]
    assert params.complete_job("x") == []
    assert params.complete_server("") == ["alpha"]
    assert params.complete_vmware("vc") == ["vc1"]


def test_an_appliance_that_is_away_completes_nothing(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.fail = ConnectionFailed("away")
    assert params.complete_job("") == []
    assert capsys.readouterr() == ("", "")


def test_an_appliance_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(params, "_PATIENCE", 0.05)
    monkeypatch.setattr(session, "appliance", lambda: time.sleep(1))
    began = time.monotonic()
    assert params.complete_job("") == []
    assert time.monotonic() - began < 0.5
