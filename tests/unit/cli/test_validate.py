"""``dtesx job validate`` and ``dtesx vmware role create``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.errors import ExitCode
from dtesx.model.api import NewRole
from dtesx.model.validation import Check, Finding, Repairs, Validation, Verdict

from .conftest import THUMBPRINT, FakeApi, Run

WARNED = Finding(Check.CLOCK, Verdict.WARNING, "the clocks differ", "set them")
PASSED = Finding(Check.SOURCE, Verdict.PASSED, "the source answers")
BROKEN = Finding(Check.TOOLS, Verdict.ERROR, "mkfs.xfs is missing", "install xfsprogs", "installs it")


def test_findings_are_shown_with_what_to_do(api: FakeApi, run: Run, job_file: Path) -> None:
    api.validation = Validation("web", 1.0, (BROKEN, WARNED, PASSED))
    done = run("job", "validate", "-f", str(job_file))
    assert done.code == ExitCode.PROBLEMS
    for words in ("mkfs.xfs is missing", "install xfsprogs", "--fix tools", "clock", "the source answers"):
        assert words in done.out
    assert "1 errors, 1 warnings, 1 passed" in done.out
    assert api.calls[0][1][1] == Repairs()


def test_warnings_alone_are_no_failure(api: FakeApi, run: Run) -> None:
    api.validation = Validation("web", 1.0, (WARNED, PASSED))
    done = run("job", "validate", "web", "--json")
    assert done.code == 0
    assert [finding["check"] for finding in done.document["findings"]] == ["clock", "source"]


@pytest.mark.parametrize(
    ("options", "repairs"),
    [
        (("--fix", "tools"), Repairs((Check.TOOLS,))),
        (("--fix-all",), Repairs(all=True)),
        (
            ("--trust-thumbprint", THUMBPRINT.lower()),
            Repairs((Check.CERTIFICATE,), thumbprint=THUMBPRINT),
        ),
    ],
)
def test_repairs_are_asked_for(api: FakeApi, run: Run, options: tuple[str, ...], repairs: Repairs) -> None:
    api.validation = replace(api.validation, fixed=("installed on the appliance: xfsprogs",))
    done = run("job", "validate", "web", *options)
    assert api.calls == [("validate_job", ("web", repairs))]
    assert "repaired: installed on the appliance: xfsprogs" in done.out


def test_the_last_result_is_shown_without_asking_anybody(api: FakeApi, run: Run) -> None:
    assert run("job", "validate", "web", "--last").code == 0
    assert api.calls == [("last_validation", "web")]


@pytest.mark.parametrize(
    "line",
    [
        (),
        ("web", "-f", "x.yaml"),
        ("-f", "x.yaml", "--last"),
        ("web", "--fix", "no"),
        ("web", "--fix", "clock"),
        ("web", "--fix", "certificate"),
    ],
)
def test_what_cannot_be_meant_is_refused(api: FakeApi, run: Run, line: tuple[str, ...]) -> None:
    assert run("job", "validate", *line).code == ExitCode.USAGE
    assert api.calls == []


def test_another_account_makes_the_role(api: FakeApi, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n")
    done = run("vmware", "role", "create", "vc1", "--user", "root", "--password-file", str(file))
    assert done.code == 0
    assert api.calls == [("put_role", ("vc1", NewRole("dtesx", "root", "secret")))]
    assert run("vmware", "role", "create", "vc1", "--role", "own").code == 0
    assert api.calls[1] == ("put_role", ("vc1", NewRole("own")))
