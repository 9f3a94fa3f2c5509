"""Contexts are private and pinned."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.base.errors import ConnectionFailed, ExitCode, Refused, UsageError
from dtesx.cli import contexts, login, session
from dtesx.wire import identity, tls

from .conftest import FakeApi, Run

IDENTITY = identity.create("vra")


@pytest.fixture
def presented(monkeypatch: pytest.MonkeyPatch, api: FakeApi) -> FakeApi:
    """An appliance that shows IDENTITY's certificate."""
    monkeypatch.setattr(tls, "presented_certificate", lambda address, port: IDENTITY.certificate)
    monkeypatch.setattr(session, "connect", lambda context: api)
    return api


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text("t0ken\n")
    return str(path)


def test_login_with_the_right_thumbprint(presented: FakeApi, run: Run, token: str) -> None:
    thumbprint = IDENTITY.fingerprint.replace(":", "").lower()
    done = run("login", "10.0.0.5", "--token-file", token, "--trust-thumbprint", thumbprint)
    assert done.code == 0, done.err
    assert contexts.current() == contexts.Context("https://10.0.0.5:6325", IDENTITY.certificate, "t0ken")
    path = contexts.directory() / "contexts"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    # Known now: no question the second time.
    assert run("login", "10.0.0.5", "--token-file", token, "--json").document["hostname"] == "vra"


def test_login_refuses_another_certificate(presented: FakeApi, run: Run, token: str) -> None:
    done = run("login", "10.0.0.5", "--token-file", token, "--trust-thumbprint", "00" * 32)
    assert done.code == ExitCode.REFUSED
    assert IDENTITY.fingerprint in done.err
    assert presented.calls == []


def test_login_without_a_terminal_wants_the_thumbprint(presented: FakeApi, run: Run, token: str) -> None:
    done = run("login", "10.0.0.5", "--token-file", token, "--json")
    assert done.code == ExitCode.REFUSED
    assert done.document["error"]["thumbprint"] == IDENTITY.fingerprint


@pytest.mark.parametrize("error", [Refused("wrong token"), ConnectionFailed("away")])
def test_a_failed_login_is_not_kept(presented: FakeApi, run: Run, token: str, error: Refused) -> None:
    presented.fail = error
    done = run(*("login", "10.0.0.5", "--token-file", token, "--trust-thumbprint", IDENTITY.fingerprint))
    assert done.code == error.exit_code
    with pytest.raises(UsageError):
        contexts.current()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://a.b:7", ("a.b", 7)),
        ("https://a.b/", ("a.b", 6325)),
        ("a.b", ("a.b", 6325)),
        ("10.0.0.1:99", ("10.0.0.1", 99)),
        ("[fe80::1]:99", ("fe80::1", 99)),
    ],
)
def test_endpoints_as_people_write_them(text: str, expected: tuple[str, int]) -> None:
    assert login.endpoint(text) == expected


def test_a_damaged_file_is_named(run: Run, tmp_path: Path) -> None:
    folder = contexts.directory()
    folder.mkdir(parents=True)
    (folder / "contexts").write_text("{")
    done = run("job", "list")
    assert done.code == ExitCode.USAGE
    assert str(folder / "contexts") in done.err


def test_several_appliances_the_last_login_counts(tmp_path: Path) -> None:
    contexts.remember(contexts.Context("https://a:1", "c", "t"), tmp_path)
    contexts.remember(contexts.Context("https://b:1", "c", "t"), tmp_path)
    assert contexts.current(tmp_path).url == "https://b:1"
    assert set(contexts.load(tmp_path).known) == {"https://a:1", "https://b:1"}


def test_the_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTESX_CONFIG", "/x/y")
    assert contexts.directory() == Path("/x/y")
    monkeypatch.delenv("DTESX_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/x")
    assert contexts.directory() == Path("/x/dtesx")
