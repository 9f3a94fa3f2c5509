"""The queue of a paused target, by commands, while processes come and go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dtesx.base.retry import wait_until

from .conftest import DTESX, Site
from .test_pausing import order

pytestmark = pytest.mark.integration


@contextmanager
def replicating(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    argv = [*DTESX, "replicate", str(site.source), site.url(), "--state", str(site.root / "client")]
    argv += ["--token-file", str(site.token), "--epoch", "0.2", "--status", str(site.root / "status")]
    with (site.root / "replicate.log").open("ab") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ)
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def queue(site: Site, *arguments: str) -> dict[str, Any]:
    done = order(site, "queue", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def waiting(site: Site) -> list[int]:
    return [kept["epoch"]["number"] for kept in queue(site, "show", "www")["waiting"]]


def settled(site: Site) -> bool:
    """Whether an epoch was applied, and what was applied is on disk and needs not be kept any more."""
    kept = [*site.state.glob("**/*.epoch"), *site.state.glob("**/*.begun")]
    return queue(site, "show", "www")["applied"] is not None and not kept


def change(site: Site, name: str) -> None:
    """Change the source, and wait until that waits on the target."""
    before = waiting(site)
    (site.source / name).write_bytes(os.urandom(1000))
    assert wait_until(lambda: len(waiting(site)) > len(before), timeout=20)


def test_a_queue_outlives_its_target_and_is_applied_as_far_as_is_wanted(site: Site) -> None:
    with replicating(site) as process:
        assert wait_until(lambda: site.differences() == "" and settled(site), timeout=30)
        refused = order(site, "queue", "discard", "www", "--yes")
        assert (refused.returncode, "dtesx pause" in refused.stderr) == (6, True)
        assert order(site, "pause", "www").returncode == 0
        for name in ("one", "two", "three"):
            change(site, name)
        kept = waiting(site)
        assert site.end(signal.SIGKILL) == -signal.SIGKILL
        assert waiting(site) == kept
        assert order(site, "queue", "apply", "www").returncode == 3
        site.start()
        change(site, "four")
        assert waiting(site)[: len(kept)] == kept
        process.kill()
        process.wait(10)
        assert not (site.data / "www" / "one").exists()
        shown = queue(site, "apply", "www", "--up-to", str(kept[0]))
        assert shown["applied"]["number"] == kept[0]
        assert (site.data / "www" / "one").exists()
        assert not (site.data / "www" / "two").exists()
        assert queue(site, "discard", "www", "--after", str(kept[1]), "--yes")["waiting"]
        assert waiting(site) == kept[1:2]
    assert order(site, "resume", "www").returncode == 0
    assert wait_until(lambda: (site.data / "www" / "two").exists(), timeout=20)
    assert wait_until(lambda: not waiting(site), timeout=20)
    assert not (site.data / "www" / "three").exists()
    with replicating(site):
        assert wait_until(lambda: site.differences() == "", timeout=30)


def test_what_waits_is_shown_to_people(site: Site) -> None:
    assert site.paired("mirror", site.source, site.url()).returncode == 0
    assert order(site, "queue", "show", "www").stdout == "nothing waits to be applied\n"
    assert order(site, "queue", "show", "mail").returncode == 5
    with replicating(site):
        assert wait_until(lambda: "applied: epoch" in order(site, "queue", "show", "www").stdout, timeout=30)
        assert order(site, "pause", "www").returncode == 0
        change(site, "new")
        assert "fuzzy" in order(site, "queue", "show", "www").stdout
