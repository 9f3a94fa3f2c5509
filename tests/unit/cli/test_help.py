"""The help teaches: every command has an example, every group a list that is not cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from dtesx.cli.main import app

from .conftest import Run


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, (*path, name))


TREE = dict(_walk(typer.main.get_command(app), ()))
LEAVES = [path for path, command in TREE.items() if not hasattr(command, "commands")]
GROUPS = [path for path, command in TREE.items() if hasattr(command, "commands")]


def test_the_commands_are_those_of_the_product() -> None:
    assert {" ".join(path) for path in LEAVES} == {
        "login",
        "server add",
        "server list",
        "server inventory",
        "server remove",
        "vmware add",
        "vmware list",
        "vmware show",
        "vmware remove",
        "vmware role create",
        "job create",
        "job plan",
        "job validate",
        "job list",
        "job show",
        "job bandwidth",
        "job pause",
        "job resume",
        "job stop",
        "job watch",
        "job delete",
        "job mirror",
        "job schema",
        "snapshot take",
        "snapshot list",
        "failover",
        "target",
        "pause",
        "queue show",
        "queue apply",
        "queue discard",
        "resume",
        "mirror",
        "replicate",
        "replication pause",
        "replication resume",
        "replication stop",
        "replication mirror",
        "replication bandwidth",
        "point",
        "task insert",
        "status",
        "stats",
        "verify",
        "orphans preview",
        "orphans remove",
        "repset show",
        "repset size",
        "repset check",
        "repset add",
        "repset remove",
        "capture probe",
        "lab up",
        "lab status",
        "lab down",
        "demo",
        "service source",
        "service appliance",
        "service worker",
        "version",
        "help exit-codes",
    }


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_an_example_of_itself(run: Run, path: tuple[str, ...]) -> None:
    done = run(*path, "--help")
    assert done.code == 0
    assert "Example" in done.out
    assert f"dtesx {' '.join(path)}" in done.out.split("Example", 1)[1]
    assert "exit-codes" in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_every_group_lists_its_commands_in_whole_sentences(run: Run, path: tuple[str, ...]) -> None:
    done = run(*path, "--help")
    listed = done.out.split("Commands:", 1)[1]
    for name in TREE[path].commands:
        assert f"  {name}" in listed
    assert "..." not in listed.split("Exit codes")[0]


def test_the_main_help_holds_the_exit_codes(run: Run) -> None:
    assert "130  stopped with Ctrl-C" in run("--help").out


def test_secrets_have_no_option_of_their_own() -> None:
    for command in TREE.values():
        for parameter in command.params:
            assert not {"--password", "--token"} & set(parameter.opts)
