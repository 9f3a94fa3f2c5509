"""What the two ends of a mirror load when they start: a short mirror is as quick as its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Site

pytestmark = pytest.mark.integration

# Used for other commands, once in a lifetime (cryptography: to make an identity), or on terminals only.
_HEAVY = {
    *("asyncio", "cryptography", "httpx", "pyVmomi", "pydantic", "rich", "sqlalchemy", "starlette"),
    *("uvicorn", "yaml"),
}
_OTHERS = {"dtesx.cli.demo.command", "dtesx.cli.job", "dtesx.lab", "dtesx.management.jobs", "dtesx.recovery"}


def _loaded(report: str) -> set[str]:
    """The modules of an import report (python -X importtime)."""
    return {
        line.rpartition("|")[2].strip() for line in report.splitlines() if line.startswith("import time:")
    }


def test_neither_end_loads_what_it_does_not_use(idle: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    idle.start()  # makes the identities, and so does the first mirror
    assert idle.paired("mirror", idle.source, idle.url()).returncode == 0
    idle.end()
    Path(idle.root, "target.log").unlink()
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    idle.start()
    done = idle.dtesx("mirror", idle.source, idle.url(), "--json")
    assert done.returncode == 0, done.stderr
    idle.end()
    for report in (done.stderr, idle.log):
        loaded = _loaded(report)
        assert "dtesx.cli.main" in loaded
        assert sorted(loaded & (_HEAVY | _OTHERS)) == []
