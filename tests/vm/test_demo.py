"""The demo, as a user runs it: what `make demo` prints must be true."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dtesx.base.run import run

pytestmark = pytest.mark.vm


def test_the_demo_brings_the_server_back(tmp_path: Path) -> None:
    done = run([sys.executable, "-m", "dtesx", "demo", "--json"], timeout=900, ok=range(256))
    report = json.loads(done.stdout)
    assert done.status == 0, report
    assert report["ok"]
    assert all(step["ok"] for step in report["steps"])
    replica = report["replica"]
    assert (replica["booted"], replica["hostname"]) == (True, "alpha")
    assert replica["files_compared"] > 1000
    assert replica["files_different"] == 0
    assert replica["last_ledger_line"].split()[0].isdigit()
    assert 0 < report["rto_seconds"] < 600
