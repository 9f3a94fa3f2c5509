"""`dtesx verify` and `dtesx orphans`, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from dtesx.base.errors import ExitCode

from .conftest import DTESX

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


@pytest.fixture
def mirrored(site: Site) -> Site:
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    return site


def test_in_step(mirrored: Site) -> None:
    done = mirrored.dtesx("verify", mirrored.source, mirrored.url())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("6 names verified: 6 same, 0 missing")


def test_what_differs_is_printed_and_left_alone(mirrored: Site) -> None:
    replica = mirrored.data / "www"
    (replica / "link").unlink()
    os.truncate(replica / "sub" / "large", 5)
    (replica / "orphan").write_bytes(b"1234")
    before = mirrored.differences()
    done = mirrored.dtesx("verify", mirrored.source, mirrored.url())
    assert done.returncode == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["missing", "symlink", "0", "link"] in lines
    assert ["orphan", "file", "4", "orphan"] in lines
    assert "sub/large: size 600000 (target: 5)" in done.stdout
    assert mirrored.differences() == before


def test_the_log_of_a_set(mirrored: Site) -> None:
    (mirrored.data / "www" / "file").write_bytes(b"changed\n")
    log = mirrored.root / "verify.log"
    for _ in range(2):
        done = mirrored.dtesx("verify", mirrored.source, mirrored.url(), "--log", log)
        assert done.returncode == 1
        assert done.stdout.splitlines()[-1] == f"log: {mirrored.root}/www verify.log"
    text = (mirrored.root / "www verify.log").read_text()
    assert (text.count("verification begins"), text.count("verification ends")) == (2, 2)
    assert text.count("different  file") == 4  # two names of one file, twice


def test_json(mirrored: Site) -> None:
    (mirrored.data / "www" / "orphan").write_bytes(b"1234")
    done = mirrored.dtesx("verify", mirrored.source, mirrored.url(), "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["totals"]["orphans"], report["totals"]["orphan_bytes"]) == (1, 4)
    assert [f["path"] for f in report["findings"] if f["state"] == "orphan"] == ["orphan"]


def test_orphans_preview(mirrored: Site) -> None:
    assert mirrored.dtesx("orphans", "preview", mirrored.source, mirrored.url()).stdout == "no orphans\n"
    below = mirrored.data / "www" / "old"
    below.mkdir()
    (below / "new\nline").write_bytes(b"12")
    done = mirrored.dtesx("orphans", "preview", mirrored.source, mirrored.url())
    assert done.returncode == 0
    assert done.stdout.splitlines()[-2].endswith("old/new\\nline")
    assert done.stdout.endswith("2 orphans, 2 B\n")
    assert (below / "new\nline").exists()


def test_data_and_remirror(mirrored: Site) -> None:
    large = mirrored.data / "www" / "sub" / "large"
    kept = large.stat()
    large.write_bytes(b"x" * 600_000)
    os.utime(large, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    (mirrored.data / "www" / "orphan").write_bytes(b"1234")
    (mirrored.data / "www" / "link").unlink()
    log = mirrored.root / "verify.log"
    done = mirrored.dtesx(
        "verify", mirrored.source, mirrored.url(), "--data", "--remirror", "--log", log, "--json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert [f["path"] for f in report["findings"]] == ["", "link", "orphan", "sub/large"]
    assert report["remirror"]["files_sent"] == 2
    text = (mirrored.root / "www verify.log").read_text()
    assert "600000 of 600000 bytes are in blocks that differ" in text
    assert large.read_bytes() == (mirrored.source / "sub" / "large").read_bytes()
    assert (mirrored.data / "www" / "orphan").exists()


def test_newer_only_belongs_to_remirror(mirrored: Site) -> None:
    assert mirrored.dtesx("verify", mirrored.source, mirrored.url(), "--newer-only").returncode == 2


def test_orphans_remove(mirrored: Site) -> None:
    replica = mirrored.data / "www"
    (replica / "orphan").write_bytes(b"1234")
    (replica / "file").write_bytes(b"differs")
    os.utime(replica, ns=(9, 9))
    done = mirrored.dtesx("orphans", "remove", mirrored.source, mirrored.url(), "--older-than", "1h")
    assert done.stdout == "0 orphans removed, 0 B\n"
    done = mirrored.dtesx("orphans", "remove", mirrored.source, mirrored.url(), "--move-to", "old")
    assert (done.returncode, done.stdout) == (0, "1 orphans removed, 4 B\n")
    assert (mirrored.data / "www.orphans" / "old" / "orphan").read_bytes() == b"1234"
    assert replica.stat().st_mtime_ns == 9
    assert (replica / "file").read_bytes() == b"differs"


def test_an_empty_source_has_no_orphans_removed(mirrored: Site) -> None:
    mirrored.source.rename(mirrored.root / "elsewhere")
    mirrored.source.mkdir()
    done = mirrored.dtesx("orphans", "remove", mirrored.source, mirrored.url())
    assert done.returncode == 10
    assert (mirrored.data / "www" / "file").exists()


@pytest.mark.parametrize("command", [("verify",), ("orphans", "preview"), ("orphans", "remove")])
def test_a_replica_that_is_not_there_is_not_made(site: Site, command: tuple[str, ...]) -> None:
    done = site.paired(*command, site.source, site.url("new"))
    assert done.returncode == 5, done
    assert "no replica new" in done.stderr
    assert "dtesx mirror" in done.stderr
    assert os.listdir(site.data) == []
    assert os.listdir(site.state / "roots") == []
    # One that came there by other means can be looked at, and still belongs to nobody.
    (site.data / "new").mkdir()
    assert site.dtesx(*command, site.source, site.url("new")).returncode in (0, 1)
    assert os.listdir(site.state / "roots") == []


def test_another_source_neither_verifies_nor_removes(mirrored: Site) -> None:
    (mirrored.data / "www" / "orphan").touch()
    for command in (("verify",), ("orphans", "remove")):
        done = mirrored.paired(*command, mirrored.source, mirrored.url(), client="another")
        assert done.returncode == 6
        assert "another source" in done.stderr
    assert (mirrored.data / "www" / "orphan").exists()


def test_the_link_is_as_that_of_a_mirror(idle: Site) -> None:
    idle.start("--no-tls")
    link = ("--no-tls", "--streams", "2", "--compress", "auto", "--bandwidth", "50MB/s")
    assert idle.paired("mirror", idle.source, idle.url(), *link).returncode == 0
    (idle.data / "www" / "file").unlink()
    (idle.data / "www" / "orphan").touch()
    assert idle.dtesx("verify", idle.source, idle.url(), *link).returncode == 1
    assert "orphan" in idle.dtesx("orphans", "preview", idle.source, idle.url(), *link).stdout
    assert idle.dtesx("orphans", "remove", idle.source, idle.url(), *link).returncode == 0
    assert idle.dtesx("verify", idle.source, idle.url(), "--remirror", *link).returncode == 0
    assert idle.differences() == ""


def test_again_and_again(mirrored: Site) -> None:
    """It goes on while the target has no replica, keeps all of it in the log, and ends when asked to."""
    log, replica, away = mirrored.root / "www verify.log", mirrored.data / "www", mirrored.data / "away"
    argv = [*DTESX, "verify", mirrored.source, mirrored.url(), "--every", "1s"]
    argv += ["--log", mirrored.root / "verify.log", "--state", mirrored.root / "client"]

    def logged(text: str, times: int) -> None:
        deadline = time.monotonic() + 60
        while not log.exists() or log.read_text().count(text) < times:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    with subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            logged("verification ends", 2)
            replica.rename(away)
            logged("has no replica www", 1)
            away.rename(replica)
            logged("verification ends", log.read_text().count("verification ends") + 1)
            running.send_signal(signal.SIGINT)
            out, _ = running.communicate(timeout=30)
            assert running.returncode == ExitCode.INTERRUPTED
        finally:
            running.kill()
    assert out.decode().count("next verification: ") >= 4
    assert out.decode().count("6 names verified: 6 same") >= 3
