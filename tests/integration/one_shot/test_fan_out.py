"""One source, several targets, one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dtesx.base.retry import wait_until

from .conftest import DTESX, Site

pytestmark = pytest.mark.integration


def status(site: Site, name: str) -> Any:
    return json.loads(site.dtesx("status", "--to", name, "--json").stdout)


def reached(site: Site, name: str) -> bool:
    """Whether all that is written by now is at that place."""
    return site.dtesx("point", "--to", name).returncode == 0


def test_a_target_that_is_lost_keeps_no_other_waiting(idle: Site, tmp_path: Path) -> None:
    other = Site(tmp_path / "elsewhere")
    other.root.mkdir()
    idle.start()
    other.start()
    urls = [idle.url("near"), other.url("far")]
    try:
        argv = [*DTESX, "replicate", str(idle.source), *urls, "--epoch", "0.3"]
        argv += ["--state", str(idle.root / "client")]
        argv += [f"--token-file={target.token}" for target in (idle, other)]
        with (idle.root / "replicate.log").open("ab") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            assert all(wait_until(partial(reached, idle, name), timeout=30) for name in ("near", "far"))
            assert other.end(signal.SIGKILL) == -signal.SIGKILL
            (idle.source / "new").write_bytes(os.urandom(10_000))
            os.rename(idle.source / "sub", idle.source / "moved")
            assert idle.dtesx("point", "--to", "near").returncode == 0
            assert status(idle, "far")["target_status"] == "away"
            (idle.source / "late").write_bytes(b"late")
            other.start()
            assert all(wait_until(partial(reached, idle, name), timeout=30) for name in ("near", "far"))
            for replica in (idle.data / "near", other.data / "far"):
                compare = ["rsync", "-aHAXnci", "--delete", "--exclude=/.dtesx-tmp.*"]
                assert subprocess.check_output([*compare, f"{idle.source}/", f"{replica}/"]) == b""
            assert idle.dtesx("replication", "stop", "--to", "far").returncode == 0
            assert idle.dtesx("point", "--to", "near").returncode == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait(10)
    finally:
        for lost in other.targets:
            lost.kill()
            lost.wait(10)
