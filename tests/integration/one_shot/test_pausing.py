"""Pausing by signals and commands, of processes that run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dtesx.base.retry import wait_until
from tests.integration.replication.cutting import Cut

from .conftest import DTESX, Site

pytestmark = pytest.mark.integration


def mirror(site: Site, log: Path, *options: str, port: int = 0) -> subprocess.Popen[bytes]:
    url = f"dtesx://127.0.0.1:{port or site.port}/www"
    argv = [*DTESX, "mirror", str(site.source), url, "--state", str(site.root / "client"), *options]
    argv += ["--token-file", str(site.token)]
    with log.open("wb") as file, log.with_suffix(".err").open("wb") as errors:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=file, stderr=errors, env=dict(os.environ)
        )


def order(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [*DTESX, *arguments, "--state", str(site.state)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def fill(site: Site) -> None:
    for number in range(4):
        (site.source / f"large{number}").write_bytes(os.urandom(10 << 20))


def size(root: Path) -> int:
    return sum(path.lstat().st_size for path in root.rglob("*") if path.is_file())


def test_a_stopped_process_goes_on_where_it_was_though_its_link_is_gone(site: Site, tmp_path: Path) -> None:
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    fill(site)
    log = tmp_path / "mirror.log"
    with Cut(site.port) as cut:
        running = mirror(site, log, "--bandwidth", "20MiB/s", "--json", port=cut.port)
        try:
            assert wait_until(lambda: size(site.data / "www") > 8 << 20, timeout=20)
            running.send_signal(signal.SIGSTOP)
            cut.all()
            time.sleep(0.5)
            assert running.poll() is None
            running.send_signal(signal.SIGCONT)
            assert running.wait(30) == 0, log.read_text()
        finally:
            running.kill()
            running.wait(10)
    stats = json.loads(log.read_text())
    assert (stats["files_sent"], stats["problems"]) == (4, [])
    assert site.differences() == ""


def test_a_paused_target_stays_as_it_is_also_over_a_restart(site: Site, tmp_path: Path) -> None:
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    done = order(site, "pause", "www")
    assert (done.returncode, done.stdout) == (0, "paused: www\n"), done.stderr
    fill(site)
    log = tmp_path / "mirror.log"
    running = mirror(site, log)
    try:
        assert wait_until(lambda: "the target is paused" in log.read_text(), timeout=20)
        assert site.end() == 0
        site.start()
        assert wait_until(lambda: log.read_text().count("the target is paused") == 2, timeout=30)
        assert not (site.data / "www" / "large0").exists()
        assert json.loads(order(site, "resume", "--json").stdout) == {
            "all": False,
            "names": [],
            "pending": False,
        }
        assert running.wait(30) == 0, log.read_text()
    finally:
        running.kill()
        running.wait(10)
    assert site.differences() == ""


def test_a_target_that_does_not_run_is_paused_all_the_same(site: Site) -> None:
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    assert site.end() == 0
    assert order(site, "pause").stdout == "all replicas are paused\n"
    refused = order(site, "resume", "www")
    assert (refused.returncode, "resume all" in refused.stderr) == (6, True)
    site.start()
    assert "the target is paused" in site.log
    assert order(site, "resume").stdout == "no replica is paused\n"
    assert site.dtesx("mirror", site.source, site.url()).returncode == 0


@pytest.mark.parametrize("words", [("pause", "wwww"), ("resume", "../token")])
def test_a_name_that_the_target_does_not_have(site: Site, words: tuple[str, str]) -> None:
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    done = order(site, *words)
    assert done.returncode == 5
    assert "it has: www" in done.stderr


def test_a_directory_that_is_no_targets(tmp_path: Path) -> None:
    done = order(Site(tmp_path), "pause")
    assert done.returncode == 5
    assert "no target keeps its state" in done.stderr
