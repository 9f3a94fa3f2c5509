"""Git repositories: many small objects that nobody may write to, packs, links between directories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtesx.base.run import run
from tests.integration.replication.conftest import Site

from .conftest import prove

pytestmark = pytest.mark.integration

WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org"}
WHO |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": "/dev/null"}


def git(where: Path, *arguments: str) -> str:
    return run(["git", "-C", str(where), *arguments], env=WHO).text


def work(where: Path, start: int) -> None:
    """Ten commits of files that change, appear and go."""
    for number in range(start, start + 10):
        for name in range(20):
            path = where / f"d{name % 5}" / f"f{name + number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(os.urandom(50) + b"line\n" * number)
        (where / f"d{number % 5}" / f"f{number}").unlink()
        git(where, "add", "-A")
        git(where, "commit", "-q", "-m", f"commit {number}")


def test_a_repository_at_work(real: Site) -> None:
    repository = real.source / "repository"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    work(repository, 0)
    git(repository, "worktree", "add", "-q", "../tree", "-b", "other")
    prove(real)
    work(repository, 10)
    work(real.source / "tree", 20)
    git(repository, "tag", "-a", "v1", "-m", "v1")
    prove(real)
    git(repository, "gc", "-q", "--aggressive", "--prune=now")
    git(repository, "clone", "-q", "--local", ".", "../clone")  # shares its objects by hard links
    prove(real)
    git(repository, "worktree", "remove", "../tree")
    prove(real)
    for name in ("repository", "clone"):
        git(real.target / name, "fsck", "--full", "--strict")
        assert git(real.target / name, "status", "--porcelain") == ""
        assert git(real.target / name, "rev-parse", "main") == git(repository, "rev-parse", "main")
