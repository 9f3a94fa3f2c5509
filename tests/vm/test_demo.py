"""The demo, as a user runs it: what `make demo` prints must be true."""

from __future__ import annotations

import json
import sys

import pytest

from dtesx.base.run import run
from dtesx.cli.lab.places import cache
from dtesx.lab.claim import is_owned

pytestmark = pytest.mark.vm


def test_the_demo_brings_the_server_back() -> None:
    done = run([sys.executable, "-m", "dtesx", "demo", "--json"], timeout=900, ok=range(256))
    report = json.loads(done.stdout)
    assert done.status == 0, report
    assert report["ok"]
    assert all(step["ok"] for step in report["steps"])
    replica = report["replica"]
    assert (replica["booted"], replica["hostname"]) == (True, "alpha")
    assert replica["files_compared"] > 1000
    assert replica["entries_compared"] > replica["files_compared"]
    assert (replica["files_different"], replica["entries_different"]) == (0, 0)
    assert replica["last_ledger_line"].split()[0].isdigit()
    assert 0 < report["rto_seconds"] < report["seconds"]
    assert not is_owned(cache() / "site"), "the lab is down again"
