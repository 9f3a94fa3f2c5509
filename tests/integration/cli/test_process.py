"""The command as a process, against a real appliance service on the loopback interface."""

from __future__ import annotations

import json
import os
import resource
import selectors
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

_DTESX = (sys.executable, "-m", "dtesx")


@dataclass(frozen=True)
class Site:
    """A running appliance service, and the environment of somebody who uses it."""

    url: str
    token_file: Path
    environment: dict[str, str]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*_DTESX, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=self.environment | environment,
            timeout=30,
            check=False,
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("appliance")
    argv = [*_DTESX, "service", "appliance", "--address", "127.0.0.1", "--port", "0"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*argv, "--state", str(directory / "state")], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            assert ready.select(30), (directory / "log").read_text()
        line = process.stdout.readline()
        assert line.startswith("dtesx appliance ready on https://127.0.0.1:"), (directory / "log").read_text()
        environment = os.environ | {"DTESX_CONFIG": str(directory / "config")}
        yield Site(line.rsplit(" ", 1)[1].strip(), directory / "state" / "admin-token", environment)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def user(site: Site) -> Site:
    """Logged in."""
    refused = site.run("login", site.url, "--token-file", str(site.token_file), "--json")
    assert refused.returncode == 4
    thumbprint = json.loads(refused.stdout)["error"]["thumbprint"]
    done = site.run(
        *("login", site.url, "--token-file", str(site.token_file), "--trust-thumbprint", thumbprint)
    )
    assert done.returncode == 0, done.stderr
    return site


def test_a_wrong_token_is_refused_and_not_kept(user: Site, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("wrong")
    done = user.run("login", user.url, "--token-file", str(wrong))
    assert done.returncode == 4
    assert "hint:" in done.stderr
    assert user.run("job", "list").returncode == 0


@pytest.mark.parametrize("what", ["job", "server", "vmware"])
def test_lists_begin_empty(user: Site, what: str) -> None:
    assert json.loads(user.run(what, "list", "--json").stdout) == []
    text = user.run(what, "list")
    assert f"dtesx {what}" in text.stdout
    assert "\x1b" not in text.stdout + text.stderr


def test_errors_of_the_appliance_arrive_whole(user: Site, tmp_path: Path) -> None:
    done = user.run("job", "show", "nosuch")
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "\nhint: " in done.stderr
    as_json = user.run("job", "show", "nosuch", "--json")
    assert (as_json.returncode, as_json.stderr) == (5, "")
    assert json.loads(as_json.stdout)["error"]["code"] == "not-found"


def test_a_job_for_an_unknown_server_is_refused(user: Site, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("name: web\nsource: nosuch\nvmware: vc1\nreplica: {datastore: ds1}\n")
    done = user.run("job", "create", "-f", str(file))
    assert done.returncode == 5
    assert "nosuch" in done.stderr


def test_a_server_that_is_away(user: Site) -> None:
    done = user.run(
        "server", "add", "alpha", "127.0.0.1", "--port", "1", "--token-file", str(user.token_file)
    )
    assert done.returncode == 3
    assert "hint:" in done.stderr


def test_an_appliance_that_is_away(user: Site, tmp_path: Path) -> None:
    contexts = json.loads(Path(user.environment["DTESX_CONFIG"], "contexts").read_text())
    (url,) = contexts["known"]
    contexts["known"] = {"https://127.0.0.1:1": contexts["known"][url] | {"url": "https://127.0.0.1:1"}}
    contexts["current"] = "https://127.0.0.1:1"
    (tmp_path / "contexts").write_text(json.dumps(contexts))
    done = user.run("job", "list", DTESX_CONFIG=str(tmp_path))
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr


def test_another_appliance_at_the_same_address_is_not_talked_to(user: Site, tmp_path: Path) -> None:
    from dtesx.wire import identity

    contexts = json.loads(Path(user.environment["DTESX_CONFIG"], "contexts").read_text())
    contexts["known"][user.url]["certificate"] = identity.create("other").certificate
    (tmp_path / "contexts").write_text(json.dumps(contexts))
    done = user.run("job", "list", DTESX_CONFIG=str(tmp_path))
    assert done.returncode == 4
    assert "certificate" in done.stderr


def test_bash_completion_is_printed_and_parses() -> None:
    done = subprocess.run(
        _DTESX,
        capture_output=True,
        text=True,
        env=os.environ | {"_DTESX_COMPLETE": "source_bash"},
        check=True,
    )
    assert "complete -o default -F" in done.stdout
    subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


def test_completion_completes_commands() -> None:
    words = {"_DTESX_COMPLETE": "complete_bash", "COMP_WORDS": "dtesx job cr", "COMP_CWORD": "2"}
    done = subprocess.run(_DTESX, capture_output=True, text=True, env=os.environ | words, check=False)
    assert done.stdout.split() == ["create"]
    assert done.stderr == ""


def test_completion_without_an_appliance_is_silent(tmp_path: Path) -> None:
    words = {"_DTESX_COMPLETE": "complete_bash", "COMP_WORDS": "dtesx job show ", "COMP_CWORD": "3"}
    environment = os.environ | words | {"DTESX_CONFIG": str(tmp_path)}
    done = subprocess.run(_DTESX, capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_start_is_quick() -> None:
    # Processor time, not wall time: other tests may run beside this one.
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*_DTESX, "version"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.4


def test_no_command_line_loads_what_it_does_not_need() -> None:
    code = (
        "import sys; from dtesx.cli.main import main; main(['version', '--json']);"
        "heavy = {'httpx', 'yaml', 'rich', 'pyVmomi', 'sqlalchemy'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
