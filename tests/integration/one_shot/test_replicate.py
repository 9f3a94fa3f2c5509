"""Continuous replication by commands, of processes that run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dtesx.base.retry import wait_until

from .conftest import DTESX, Site

pytestmark = pytest.mark.integration


@contextmanager
def replicate(site: Site, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    argv = [*DTESX, "replicate", str(site.source), site.url(), "--state", str(site.root / "client"), *options]
    argv += ["--token-file", str(site.token)]
    with (site.root / "replicate.log").open("ab") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ)
        )
    try:
        assert wait_until(lambda: site.dtesx("point").returncode == 0, timeout=30)
        yield process
    finally:
        process.kill()
        process.wait(10)


def status(site: Site) -> Any:
    done = site.dtesx("status", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_point_holds_what_was_written_before_the_command(site: Site) -> None:
    with replicate(site, "--epoch", "60") as process:
        numbers = []
        for number in range(3):
            (site.source / f"new{number}").write_bytes(b"%d" % number)
            made = json.loads(site.dtesx("point", "--json").stdout)
            assert site.differences("www", "--exclude=/.dtesx-tmp.*") == ""
            numbers.append(made["number"])
        assert numbers == sorted(set(numbers))
        found = status(site)
        assert (found["running"], found["replication_status"]) == (True, "ready")
        assert (found["epoch"]["number"], found["target_data_state"]) == (numbers[-1], "ok")
        assert found["last_file_touched"] == str(site.source / "new2")
        assert found["transmit_mode"] == "started"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert status(site)["running"] is False
    gone = site.dtesx("point", "--json")
    assert (gone.returncode, json.loads(gone.stdout)["error"]["code"]) == (3, "not-running")


def test_a_target_that_pauses_or_is_away(site: Site) -> None:
    with replicate(site, "--epoch", "0.5"):
        assert subprocess.run([*DTESX, "pause", "--state", str(site.state)], check=False).returncode == 0
        (site.source / "new").write_bytes(b"new")
        assert wait_until(lambda: status(site)["target_status"] == "paused", timeout=20)
        late = site.dtesx("point", "--wait", "0.2", "--json")
        assert json.loads(late.stdout)["error"]["code"] == "not-reached"
        assert site.end() == 0
        assert wait_until(lambda: status(site)["target_status"] == "away", timeout=20)
        away = site.dtesx("point", "--wait", "0.2", "--json")
        assert (away.returncode, json.loads(away.stdout)["error"]["code"]) == (3, "not-connected")
        found = status(site)
        assert (found["transmit_mode"] in ("stopped", "error"), found["target_data_state"]) == (True, "ok")
        subprocess.run([*DTESX, "resume", "--state", str(site.state)], check=True, capture_output=True)
        site.start()
        assert site.dtesx("point").returncode == 0
        assert (site.data / "www" / "new").read_bytes() == b"new"


def test_a_killed_replication_leaves_its_status_and_its_history(site: Site) -> None:
    with replicate(site) as process:
        process.kill()
        process.wait(10)
    assert status(site)["running"] is False
    assert site.dtesx("stats", "--csv").stdout.count("\n") >= 2
    with replicate(site):
        assert status(site)["running"] is True


def test_one_replication_for_each_place(site: Site) -> None:
    with replicate(site):
        second = site.dtesx("replicate", site.source, site.url())
        assert (second.returncode, "another dtesx replicates" in second.stderr) == (6, True)


def test_commands_steer_what_runs(site: Site) -> None:
    with replicate(site, "--epoch", "0.2") as process:
        assert site.dtesx("replication", "pause").returncode == 0
        assert wait_until(lambda: status(site)["transmit_mode"] == "paused", timeout=20)
        (site.source / "new").write_bytes(b"new")
        assert site.dtesx("point", "--wait", "1").returncode == 9
        assert not (site.data / "www" / "new").exists()
        assert site.dtesx("replication", "resume").returncode == 0
        assert site.dtesx("point").returncode == 0
        assert (site.data / "www" / "new").read_bytes() == b"new"
        (site.data / "www" / "new").unlink()  # nothing tells the source
        assert site.dtesx("replication", "mirror").returncode == 0
        assert site.dtesx("point").returncode == 0
        assert (site.data / "www" / "new").read_bytes() == b"new"
        assert "5.0 MiB/s" in site.dtesx("replication", "bandwidth", "5MiB/s").stdout
        assert site.dtesx("replication", "stop").returncode == 0
        assert process.wait(10) == 0
    assert site.dtesx("replication", "pause").returncode == 3
