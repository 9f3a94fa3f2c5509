"""`dtesx mirror`: one tree to one place, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from .conftest import DTESX

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


def test_a_mirror_and_another_one(site: Site) -> None:
    done = site.paired("mirror", site.source, site.url())
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 of 4 files sent" in done.stdout
    assert "\x1b" not in done.stdout
    assert site.differences() == ""

    (site.source / "file").unlink()
    (site.source / "new").write_bytes(b"new")
    again = site.dtesx("mirror", site.source, site.url(), "--json")
    assert again.returncode == 0
    report = json.loads(again.stdout)
    assert (report["files_total"], report["files_sent"], report["files_skipped"]) == (4, 1, 3)
    assert (report["bytes_total"], report["bytes_sent"]) == (600_009, 3)
    assert report["bytes_skipped"] == 600_006
    assert (report["orphans_removed"], report["problems"]) == (1, [])
    assert report["bytes_wire"] > 0
    assert report["seconds"] > 0
    assert site.differences() == ""


def test_without_calculation_there_are_counts_all_the_same(site: Site) -> None:
    done = site.paired("mirror", site.source, site.url(), "--no-calc-size", "--json")
    report = json.loads(done.stdout)
    assert (report["files_sent"], report["files_total"], report["bytes_total"]) == (4, 4, 600_012)
    assert site.differences() == ""
    (site.source / "file").write_bytes(b"longer!\n")
    report = json.loads(site.dtesx("mirror", site.source, site.url(), "--no-calc-size", "--json").stdout)
    assert (report["files_total"], report["bytes_total"]) == (4, 600_016)
    assert report["bytes_sent"] + report["bytes_skipped"] == report["bytes_total"]


def test_places_are_served_side_by_side(site: Site) -> None:
    (site.source / "big").write_bytes(os.urandom(30 << 20))
    codes: dict[str, int] = {}

    def run(name: str) -> None:
        codes[name] = site.paired("mirror", site.source, site.url(name), client=name).returncode

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {"one": 0, "two": 0, "three": 0}
    for name in codes:
        assert site.differences(name) == ""


def test_first_mirrors_of_one_source_at_a_time_agree_on_its_identity(site: Site) -> None:
    codes: list[int] = []

    def run(name: str) -> None:
        codes.append(site.paired("mirror", site.source, site.url(name)).returncode)

    threads = [threading.Thread(target=run, args=(f"n{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 4
    assert len(list((site.state / "sources").glob("*.crt"))) == 1


def test_paths_that_cannot_be_mirrored_are_told(site: Site) -> None:
    (site.source / ".dtesx-tmp.mine").write_bytes(b"x")
    done = site.paired("mirror", site.source, site.url())
    assert done.returncode == 1
    assert f"{site.source}/.dtesx-tmp.mine: " in done.stdout
    as_json = site.dtesx("mirror", site.source, site.url(), "--json")
    assert as_json.returncode == 1
    (problem,) = json.loads(as_json.stdout)["problems"]
    assert problem["path"] == f"{site.source}/.dtesx-tmp.mine"
    assert problem["reason"]


def test_requests_that_make_no_sense(site: Site) -> None:
    for arguments, code in (
        ((site.source / "nowhere", site.url()), 5),
        ((site.source / "file", site.url()), 5),
        ((site.source, "www"), 2),
        ((site.source, "dtesx://127.0.0.1/../www"), 2),
        ((site.source, site.url("a%2Fb")), 2),
    ):
        done = site.paired("mirror", *arguments)
        assert done.returncode == code, (arguments, done)
        assert "hint:" in done.stderr
    missing = site.dtesx("mirror", site.source, site.url(), "--token-file", site.root / "nowhere")
    assert missing.returncode == 2


def test_nobody_listens(idle: Site) -> None:
    idle.port = 1
    (idle.root / "token").write_text("x\n")
    done = idle.dtesx("mirror", idle.source, idle.url(), "--token-file", idle.root / "token", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "connection"


def test_the_state_of_a_source_does_not_travel(site: Site) -> None:
    done = site.paired("mirror", site.source, site.url(), client="source/state")
    assert done.returncode == 0, done.stderr
    assert (site.source / "state" / "identity.key").exists()
    assert not (site.data / "www" / "state").exists()


def test_ctrl_c_ends_a_mirror_that_can_go_on(site: Site) -> None:
    for number in range(8):
        (site.source / f"large-{number}").write_bytes(os.urandom(1 << 20))
    # A shell that runs us in the background has its children ignore SIGINT.
    argv = ["env", "--default-signal=INT", *DTESX, "mirror", str(site.source), site.url()]
    argv += ["--token-file", str(site.token), "--bandwidth", "1MB/s"]
    process = subprocess.Popen(
        [*argv, "--state", str(site.root / "client")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not list(site.data.rglob("large-*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command again" in errors
    assert site.dtesx("mirror", site.source, site.url()).returncode == 0
    assert site.differences() == ""
