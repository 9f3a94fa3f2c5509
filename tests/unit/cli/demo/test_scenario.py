"""The checks of the demo notice what they are for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dtesx.base.errors import CommandFailed, ConnectionFailed, DtesxError
from dtesx.base.run import Completed
from dtesx.cli import session
from dtesx.cli.demo import scenario as road
from dtesx.cli.demo import ssh
from dtesx.cli.demo.lab import DemoLab, Places
from dtesx.cli.demo.report import CheckFailed
from dtesx.cli.demo.scenario import Scenario
from dtesx.lab import ledger
from dtesx.lab.status import SiteStatus, VcenterAccess
from dtesx.model.api import FailoverRequest
from dtesx.model.job import OperationKind, StepState

from ..conftest import FakeApi, failed, operation


@dataclass
class _Shell:
    """Answers scripts by what they begin with."""

    answers: dict[str, bytes] = field(default_factory=dict)
    argv: tuple[str, ...] = ("ssh",)

    def run(self, script: str, *, timeout: float = 120.0) -> Completed:
        for begin, answer in self.answers.items():
            if script.startswith(begin):
                return Completed((script,), 0, answer, b"")
        return Completed((script,), 0, b"", b"")

    def wait(self, *, timeout: float, on_wait: Callable[[float], None]) -> None:
        on_wait(1.0)


@pytest.fixture
def shell() -> _Shell:
    return _Shell(
        {"cat ": _ledger(5), "hostname": b"alpha\n", "\nexport ": _seen(b"aa  /etc/a\0bb  /etc/b\0")}
    )


@pytest.fixture
def lab(tmp_path: Path, shell: _Shell, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> DemoLab:
    for name in ("certificate", "admin-token", "source-token"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "demo").mkdir()
    status = SiteStatus(
        directory=str(tmp_path),
        machines=(),
        vcenter=VcenterAccess("10.77.0.2", 443, "user", "password", "127.0.77.1:443"),
        appliance_vm="appliance",
        appliance_url="https://127.0.77.1:6325",
        appliance_certificate=str(tmp_path / "certificate"),
        admin_token_file=str(tmp_path / "admin-token"),
        source_address="10.77.0.11",
        source_token_file=str(tmp_path / "source-token"),
        ssh=("ssh",),
        ssh_key="/key",
        ssh_forward="127.0.77.1:22",
    )
    monkeypatch.setattr(session, "connect", lambda context: api)
    monkeypatch.setattr(road, "presented_thumbprint", lambda address, port: "thumb")
    monkeypatch.setattr(DemoLab, "login", lambda self: shell)
    monkeypatch.setattr(DemoLab, "lose_server", lambda self: None)
    return DemoLab(Places(tmp_path, tmp_path), status)


@pytest.fixture
def scenario(lab: DemoLab) -> Scenario:
    return Scenario(lab, _say)


def _say(line: str, fraction: float) -> None:
    pass


def _seen(sums: bytes, *, mode: bytes = b"81a4") -> bytes:
    """What the comparing script prints for files with these sums and a directory."""
    meta = mode + b" 0:0 12 1 0:0 17.5  /etc/a\0" + b"41ed 0:0 4096 2 0:0 17.5  /etc\0"
    return b"-- next\0".join((sums, meta, b"", b""))


def _ledger(count: int) -> bytes:
    lines, line = [], ""
    for number in range(count):
        line = ledger.next_line(line, 1000 + number)
        lines.append(line)
    return "".join(f"{line}\n" for line in lines).encode()


def test_the_good_road(scenario: Scenario, api: FakeApi, shell: _Shell) -> None:
    api.script = [operation(OperationKind.PROTECT)]
    scenario.create_job()
    assert api.calls[1][1][0].replica.datastore == "ds1"
    api.script = [operation(OperationKind.MIRROR)]
    scenario.mirror()
    scenario.record()
    scenario.lose()
    api.script = [operation(OperationKind.FAILOVER, result={"address": "10.77.0.11"})]
    scenario.fail_over()
    assert ("failover", FailoverRequest(final_mirror=False)) in api.calls
    assert not scenario.replica.booted
    scenario.log_in_to_replica()
    shell.answers["cat "] = _ledger(9)
    scenario.verify_ledger()
    scenario.compare()
    found = scenario.replica
    assert (found.booted, found.hostname, found.address) == (True, "alpha", "10.77.0.11")
    assert (found.files_compared, found.files_different, found.ledger_lines) == (2, 0, 9)
    assert found.last_ledger_line.startswith("9 1008 ")


def test_another_host_name_is_noticed(scenario: Scenario, shell: _Shell) -> None:
    shell.answers["hostname"] = b"debian\n"
    with pytest.raises(CheckFailed, match="debian"):
        scenario.log_in_to_replica()


def test_a_ledger_that_lost_mirrored_lines_is_noticed(
    scenario: Scenario, api: FakeApi, shell: _Shell
) -> None:
    api.script = [operation(OperationKind.MIRROR)]
    scenario.mirror()
    first = _ledger(3)
    # The replica's service went on from line 3: the chain is whole and long enough, but not alpha's.
    shell.answers["cat "] = first + _continued(first.decode().splitlines()[-1], 9)
    with pytest.raises(CheckFailed, match="does not hold the 5 lines"):
        scenario.verify_ledger()


def _continued(line: str, count: int) -> bytes:
    lines = []
    for number in range(count):
        line = ledger.next_line(line, 5000 + number)
        lines.append(line)
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_broken_chain_is_noticed(scenario: Scenario, shell: _Shell) -> None:
    lines = _ledger(5).splitlines(keepends=True)
    shell.answers["cat "] = b"".join(lines[:2] + lines[3:])
    with pytest.raises(CheckFailed, match="broken"):
        scenario.verify_ledger()


def test_half_a_line_at_the_end_is_not_a_line(scenario: Scenario, shell: _Shell) -> None:
    shell.answers["cat "] = _ledger(5) + b"6 10"
    scenario.verify_ledger()
    assert scenario.replica.ledger_lines == 5


@pytest.mark.parametrize(
    "after", [b"aa  /etc/a\0", b"aa  /etc/a\0xx  /etc/b\0", b"aa  /etc/a\0bb  /etc/b\0cc  /etc/c\0"]
)
def test_a_file_that_differs_is_counted_and_fails(scenario: Scenario, shell: _Shell, after: bytes) -> None:
    scenario.record()
    shell.answers["\nexport "] = _seen(after)
    with pytest.raises(CheckFailed, match="1 of"):
        scenario.compare()
    assert scenario.replica.files_different == 1


def test_metadata_that_differs_is_counted_and_fails(scenario: Scenario, shell: _Shell) -> None:
    scenario.record()
    shell.answers["\nexport "] = _seen(b"aa  /etc/a\0bb  /etc/b\0", mode=b"8180")
    with pytest.raises(CheckFailed, match="1 of 2 entries by metadata: /etc/a"):
        scenario.compare()
    assert (scenario.replica.files_different, scenario.replica.entries_different) == (0, 1)


def test_a_failed_operation_stops_the_road(scenario: Scenario, api: FakeApi) -> None:
    api.script = [failed(OperationKind.MIRROR, "target-full", "full", "make room")]
    with pytest.raises(DtesxError, match="full"):
        scenario.mirror()


def test_ctrl_c_while_following_stops_the_demo(scenario: Scenario, api: FakeApi) -> None:
    api.script = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        scenario.mirror()


def test_a_running_step_is_told(lab: DemoLab, api: FakeApi) -> None:
    told: list[tuple[str, float]] = []
    api.script = [operation(OperationKind.MIRROR, StepState.RUNNING), operation(OperationKind.MIRROR)]

    def tell(line: str, fraction: float) -> None:
        told.append((line, fraction))

    Scenario(lab, tell).mirror()
    assert ("Second thing", 0.5) in told


def _login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *outcomes: tuple[int, bytes]) -> ssh.Login:
    left = list(outcomes)

    def run(argv: Any, **options: Any) -> Completed:
        status, words = left.pop(0) if len(left) > 1 else left[0]
        return Completed(tuple(argv), status, b"", words)

    monkeypatch.setattr(ssh, "run", run)
    return ssh.Login("alpha", "127.0.77.1", 22, tmp_path / "key", tmp_path / "known")


def test_a_login_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    login = _login(monkeypatch, tmp_path, (255, b"refused"), (255, b"refused"), (0, b""))
    waits: list[float] = []
    login.wait(timeout=60, on_wait=waits.append, sleep=lambda _: None)
    assert len(waits) == 2


def test_another_machine_at_the_address_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    login = _login(monkeypatch, tmp_path, (255, b"Host key verification failed."))
    with pytest.raises(CommandFailed, match="host key"):
        login.wait(timeout=60, on_wait=lambda _: None, sleep=lambda _: None)


def test_waiting_for_a_login_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    login = _login(monkeypatch, tmp_path, (255, b"refused"))
    now = iter(range(0, 1000, 10))
    with pytest.raises(ConnectionFailed, match="refused"):
        login.wait(timeout=60, on_wait=lambda _: None, clock=lambda: next(now), sleep=lambda _: None)
