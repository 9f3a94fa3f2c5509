"""What each command asks of the appliance and prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from dtesx.base.errors import ConnectionFailed, ExitCode
from dtesx.cli import ask
from dtesx.model.api import FailoverRequest, NewServer, NewSnapshot
from dtesx.model.job import OperationKind, StepState

from .conftest import THUMBPRINT, FakeApi, Run, failed, operation


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    return str(path)


def test_server_add_sends_the_token_of_the_file(api: FakeApi, run: Run, secret: str) -> None:
    done = run("server", "add", "alpha", "10.0.0.2", "--token-file", secret, "--json")
    assert done.code == 0
    assert api.calls == [("add_server", NewServer("alpha", "10.0.0.2", "s3cret", 6325))]
    assert done.document["hostname"] == "alpha.lan"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("server list", ["NAME", "alpha.lan", "10.0.0.2:6325"]),
        ("server inventory alpha", ["Debian 12", "ext4", "4.0 GiB", "02:00:00:00:00:01"]),
        ("vmware list", ["vc1", "10.0.0.3:443"]),
        ("vmware show vc1", ["vCenter 8.0", "ds1", "5.0 GiB", "VM Network", "standard"]),
        ("job list", ["web", "protected", "web-replica", "with warnings"]),
        ("job show web", ["protected", "sent 3 files", "/x: busy"]),
        ("job show web", ["yes, with warnings (as of", "warning: the menu is odd", "make one"]),
        ("snapshot list web", ["first", "note", "later"]),
        ("server remove alpha --yes", ["alpha is removed"]),
        ("vmware remove vc1 --yes", ["vc1 is removed"]),
        ("job pause web", ["web is paused", "dtesx job resume web"]),
        ("job resume web", ["web goes on"]),
        ("job pause web --target", ["target of web is paused", "dtesx job resume web --target"]),
        ("job resume web --target", ["the target of web goes on"]),
        ("job bandwidth web 10MiB/s", ["web is now: 10.0 MiB/s"]),
        ("job bandwidth web off", ["web is now: no limit"]),
        ("job bandwidth web default", ["web is now: as its job file says"]),
        ("job stop web", ["web is stopped", "dtesx job mirror web"]),
        ("job delete web --yes", ["web is deleted"]),
        ("snapshot take web -d note", ["snap-1"]),
        ("version", ["dtesx"]),
        ("help exit-codes", ["130"]),
    ],
)
def test_text_for_people_holds_the_facts_and_no_escapes(
    api: FakeApi, run: Run, line: str, words: list[str]
) -> None:
    done = run(*line.split())
    assert done.code == 0, done.err
    assert "\x1b" not in done.out
    for word in words:
        assert word in done.out


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("server list", list),
        ("server inventory alpha", dict),
        ("server remove alpha --yes", dict),
        ("vmware list", list),
        ("vmware show vc1", dict),
        ("vmware remove vc1 --yes", dict),
        ("job list", list),
        ("job show web", dict),
        ("job watch web", dict),
        ("job pause web", dict),
        ("job resume web", dict),
        ("job bandwidth web 1MB/s", dict),
        ("job stop web", dict),
        ("job delete web --yes", dict),
        ("snapshot take web", dict),
        ("snapshot list web", list),
        ("version", dict),
        ("help exit-codes", list),
    ],
)
def test_json_is_exactly_one_document(api: FakeApi, run: Run, line: str, kind: type) -> None:
    done = run(*line.split(), "--json")
    assert done.code == 0
    assert isinstance(done.document, kind)
    assert done.err == ""


def test_snapshots_are_listed_oldest_first(api: FakeApi, run: Run) -> None:
    assert [s["name"] for s in run("snapshot", "list", "web", "--json").document] == ["first", "later"]


def test_password_comes_from_the_environment_and_thumbprint_in_any_spelling(
    api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTESX_VMWARE_PASSWORD", "geheim")
    spelled = THUMBPRINT.replace(":", "").lower()
    done = run("vmware", "add", "vc1", "10.0.0.3", "--user", "root", "--trust-thumbprint", spelled)
    assert done.code == 0, done.err
    sent = api.calls[0][1]
    assert (sent.password, sent.thumbprint) == ("geheim", THUMBPRINT)


def test_vmware_add_without_a_terminal_refuses_an_unknown_certificate(
    api: FakeApi, run: Run, secret: str
) -> None:
    done = run("vmware", "add", "vc1", "h", "--user", "root", "--password-file", secret)
    assert done.code == ExitCode.REFUSED
    assert f"--trust-thumbprint {THUMBPRINT}" in done.err


def test_vmware_add_on_a_terminal_asks_and_pins(
    api: FakeApi, run: Run, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "on_terminal", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda *a, **k: True)
    done = run("vmware", "add", "vc1", "h", "--user", "root", "--password-file", secret)
    assert done.code == 0, done.err
    assert [c[1].thumbprint for c in api.calls if c[0] == "add_vmware"] == ["", THUMBPRINT]


def test_vmware_add_does_not_ask_past_a_wrong_expectation(
    api: FakeApi, run: Run, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "on_terminal", lambda: True)
    wrong = "00" * 32
    done = run(
        *("vmware", "add", "vc1", "h", "-u", "root", "--password-file", secret, "--trust-thumbprint", wrong)
    )
    assert done.code == ExitCode.REFUSED
    assert len(api.calls) == 1


def test_job_create_follows_the_protection(api: FakeApi, run: Run, job_file: Path) -> None:
    api.script = [operation(OperationKind.PROTECT, StepState.RUNNING), operation(OperationKind.PROTECT)]
    done = run("job", "create", "-f", str(job_file))
    assert done.code == 0, done.err
    assert "Protecting web" in done.out
    assert "✓ First thing (3.5 s)" in done.out
    assert "✓ Second thing (6.5 s)" in done.out


def test_job_create_no_wait_returns_at_once(api: FakeApi, run: Run, job_file: Path) -> None:
    done = run("job", "create", "-f", str(job_file), "--no-wait", "--json")
    assert done.document["operation"]["state"] == "running"
    assert [name for name, _ in api.calls] == ["create_job"]


def test_job_create_rebinds_where_that_is_asked_for(api: FakeApi, run: Run, job_file: Path) -> None:
    api.script = [failed(OperationKind.PROTECT, "root-empty", "/srv is empty", "look")]
    done = run("job", "create", "-f", str(job_file), "--rebind")
    assert api.calls[0][1][1] is True
    assert f"go on with: dtesx job create -f {job_file} --rebind" in done.err


def test_a_failed_operation_gives_its_exit_code_and_the_way_on(
    api: FakeApi, run: Run, job_file: Path
) -> None:
    api.script = [failed(OperationKind.PROTECT, "target-full", "datastore ds1 is full", "make room")]
    done = run("job", "create", "-f", str(job_file))
    assert done.code == ExitCode.TARGET_FULL
    assert "error: datastore ds1 is full" in done.err
    assert f"make room; then go on with: dtesx job create -f {job_file}" in done.err


def test_a_failed_operation_as_json_is_one_error_document(api: FakeApi, run: Run) -> None:
    api.script = [failed(OperationKind.MIRROR, "connection", "alpha is away")]
    done = run("job", "mirror", "web", "--json")
    assert done.code == ExitCode.CONNECTION
    assert done.document["error"]["code"] == "connection"
    assert done.err == ""


def test_a_halted_mirror_has_its_exit_code_and_a_way_on(api: FakeApi, run: Run) -> None:
    api.script = [failed(OperationKind.MIRROR, "root-empty", "/srv is empty", "look, or --rebind")]
    assert run("job", "mirror", "web").code == ExitCode.HALTED
    assert ("mirror", ("web", False)) in api.calls
    api.script = [operation(OperationKind.MIRROR)]
    assert run("job", "mirror", "web", "--rebind").code == 0
    assert ("mirror", ("web", True)) in api.calls


def test_an_interrupted_service_is_told_apart_from_a_failure(api: FakeApi, run: Run) -> None:
    api.script = [operation(OperationKind.MIRROR, StepState.INTERRUPTED)]
    done = run("job", "mirror", "web")
    assert done.code == ExitCode.FAILED
    assert "interrupted" in done.err
    assert "dtesx job mirror web" in done.err


@pytest.mark.parametrize("line", ["job mirror web", "failover web --live --yes"])
def test_ctrl_c_ends_the_watching_only(api: FakeApi, run: Run, line: str) -> None:
    api.script = [KeyboardInterrupt()]
    done = run(*line.split())
    assert done.code == ExitCode.INTERRUPTED
    assert "goes on on the appliance" in done.err
    assert "dtesx job watch web" in done.err


def test_an_appliance_that_restarts_meanwhile_is_waited_for(api: FakeApi, run: Run) -> None:
    api.script = [ConnectionFailed("away"), ConnectionFailed("away"), operation(OperationKind.MIRROR)]
    assert run("job", "mirror", "web").code == 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--memory-low", "30"), "memory_low"),
        (("--memory-high", "100"), "memory_high"),
        (("--retry-delay", "0s"), "retry_delay"),
        (("--retry-delay", "soon"), "not a time"),
    ],
)
def test_a_target_says_what_it_cannot_keep_to(run: Run, options: tuple[str, ...], word: str) -> None:
    refused = run("target", "--data", "/nonexistent", *options)
    assert refused.code == ExitCode.USAGE
    assert word in refused.err


@pytest.mark.parametrize("rate", ["1kB/s", "fast", "-5"])
def test_a_rate_that_cannot_be_kept_to(api: FakeApi, run: Run, rate: str) -> None:
    refused = run("job", "bandwidth", "web", "--", rate)
    assert refused.code == ExitCode.USAGE
    assert "default" in refused.err
    assert api.calls == []


def test_failover_needs_its_kind_and_a_yes(api: FakeApi, run: Run) -> None:
    assert "--live" in run("failover", "web").err
    refused = run("failover", "web", "--live")
    assert refused.code == ExitCode.USAGE
    assert "--yes" in refused.err
    assert api.calls == []


def test_failover_reports_the_address(api: FakeApi, run: Run) -> None:
    api.script = [operation(OperationKind.FAILOVER, result={"address": "10.0.0.9"})]
    done = run("failover", "web", "--live", "--no-final-mirror", "--yes")
    assert done.code == 0
    assert "10.0.0.9" in done.out
    assert ("failover", FailoverRequest(final_mirror=False)) in api.calls


@pytest.mark.parametrize(("flag", "keep"), [([], True), (["--delete-replica"], False)])
def test_job_delete_keeps_the_replica_unless_told(
    api: FakeApi, run: Run, flag: list[str], keep: bool
) -> None:
    assert run("job", "delete", "web", "--yes", *flag).code == 0
    assert ("delete_job", ("web", keep)) in api.calls


def test_snapshot_description_travels(api: FakeApi, run: Run) -> None:
    run("snapshot", "take", "web", "--description", "before it")
    assert api.calls[0] == ("take_snapshot", NewSnapshot("before it"))


@pytest.mark.parametrize("answers", [True, False])
def test_confirmation_on_a_terminal(
    api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    asked: list[str] = []

    def confirm(question: str, **options: Any) -> bool:
        asked.append(question)
        return answers

    monkeypatch.setattr(ask, "on_terminal", lambda: True)
    monkeypatch.setattr(typer, "confirm", confirm)
    done = run("job", "delete", "web", "--delete-replica")
    assert "DESTROY" in asked[0]
    assert (done.code == 0) is answers
    assert bool(api.calls) is answers


def test_job_plan_shows_what_a_file_asks_for(api: FakeApi, run: Run, job_file: Path) -> None:
    done = run("job", "plan", "-f", str(job_file))
    assert done.code == 0, done.err
    assert [name for name, _ in api.calls] == ["plan"]
    for words in ("web-replica", "SCSI(0:0)", "bios-boot", "beside the appliance", "VM Network"):
        assert words in done.out
    assert "Different from the source:" in done.out
    assert "network card eth0: 02:00:00:00:00:01 -> a MAC address from vSphere" in done.out


def test_job_plan_of_a_job_that_exists(api: FakeApi, run: Run) -> None:
    done = run("job", "plan", "web", "--json")
    assert api.calls == [("job_plan", "web")]
    assert done.document["replica"]["name"] == "web-replica"
    assert done.document["layout"]["disks"][0]["bus"] == 0


def test_job_plan_that_cannot_be_carried_out(api: FakeApi, run: Run, job_file: Path) -> None:
    job_file.write_text(job_file.read_text().replace("ds1", "ds9"))
    done = run("job", "plan", "-f", str(job_file))
    assert done.code == ExitCode.PROBLEMS
    assert "This plan cannot be carried out:" in done.out
    assert "no datastore ds9; the appliance's host has: ds1" in done.out


@pytest.mark.parametrize("arguments", [(), ("web", "-f", "job.yaml")])
def test_job_plan_wants_a_job_or_a_file(api: FakeApi, run: Run, arguments: tuple[str, ...]) -> None:
    done = run("job", "plan", *arguments)
    assert done.code == ExitCode.USAGE
    assert api.calls == []
