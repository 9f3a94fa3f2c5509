"""A site in the background: up, used, lost, down, and cleared after it was killed."""

from __future__ import annotations

import json
import os
import signal
import ssl
import urllib.request
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict, NotFound
from dtesx.base.retry import wait_until
from dtesx.base.run import run
from dtesx.lab import daemon, leftovers
from dtesx.lab.claim import only_lab
from dtesx.lab.network import namespaces_of
from tests.integration.lab.conftest import CACHE

pytestmark = pytest.mark.integration


def nothing_is_left(directory: Path) -> bool:
    identity = leftovers.lab_identity(directory)
    mounts = leftovers.mounts_below(directory.resolve(), Path("/proc/self/mountinfo").read_text())
    loops = run(["losetup", "--list", "--output", "BACK-FILE"]).text
    return (
        not namespaces_of(identity)
        and not mounts
        and str(directory) not in loops
        and not leftovers.runtime_directory(identity).exists()
    )


def test_a_site_runs_in_the_background_until_it_is_taken_down(tmp_path: Path) -> None:
    said: list[str] = []
    status = daemon.up(tmp_path, CACHE, said.append)
    try:
        assert any("appliance" in line for line in said)
        assert daemon.up(tmp_path, CACHE, said.append).appliance_url == status.appliance_url
        context = ssl.create_default_context(cafile=status.appliance_certificate)
        context.check_hostname = False
        token = Path(status.admin_token_file).read_text().strip()
        request = urllib.request.Request(
            f"{status.appliance_url}/v1/status", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            assert json.load(answer)["service"] == "appliance"
        assert run([*status.ssh, "hostname"]).text.strip() == "alpha"
        assert all(machine.alive for machine in status.machines)
        daemon.lose(tmp_path, "source")

        def lost() -> bool:
            machines = {m.name: m.alive for m in daemon.status(tmp_path).machines}
            return machines == {"appliance": True, "source": False}

        assert wait_until(lost, timeout=10)
    finally:
        daemon.down(tmp_path)
    assert nothing_is_left(tmp_path)
    with pytest.raises(NotFound):
        daemon.status(tmp_path)


def test_what_a_killed_daemon_leaves_is_cleared(tmp_path: Path) -> None:
    daemon.up(tmp_path, CACHE, lambda _: None)
    pid = json.loads((tmp_path / "state.json").read_bytes())["pid"]
    disk = tmp_path / "datastore" / "flat"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    device = run(["losetup", "--find", "--show", str(disk)]).text.strip()
    run(["losetup", "--find", "--offset", "1048576", device])
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not _is_up(tmp_path), timeout=10)
    assert not nothing_is_left(tmp_path)
    assert daemon.down(tmp_path)
    assert nothing_is_left(tmp_path)
    assert daemon.down(tmp_path) == ()


def test_a_site_ends_whole_while_another_one_runs(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    daemon.up(first, CACHE, lambda _: None)
    try:
        daemon.up(second, CACHE, lambda _: None)  # its machines begin with the mounts of the first
        daemon.down(first)
        assert nothing_is_left(first)
        assert all(machine.alive for machine in daemon.status(second).machines)
    finally:
        daemon.down(first)
        daemon.down(second)
    assert nothing_is_left(second)


def test_a_site_that_belongs_to_another_command_is_left_alone(tmp_path: Path) -> None:
    with only_lab(tmp_path):
        with pytest.raises(Conflict, match="already"):
            daemon.down(tmp_path)
        with pytest.raises(Conflict, match="already"):
            daemon.up(tmp_path, CACHE, lambda _: None)


def _is_up(directory: Path) -> bool:
    try:
        daemon.status(directory)
    except NotFound:
        return False
    return True
