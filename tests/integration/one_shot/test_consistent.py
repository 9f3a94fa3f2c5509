"""Epochs of one moment by commands, of processes that are killed while they make them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtesx.base.retry import wait_until
from dtesx.base.run import run

from .conftest import DTESX, Site

pytestmark = pytest.mark.integration

_KILLS = int(os.environ.get("DTESX_EDGE_KILLS", "3"))
_OPTIONS = ("--epoch", "0.2", "--consistent-every", "0.1", "--freeze-budget", "2")
_SEEN = ("--exclude=/.dtesx-tmp.*", "--exclude=/lost+found", "--checksum")


@pytest.fixture
def frozen(site: Site, tmp_path: Path) -> Iterator[Site]:
    """A site whose source is a file system of its own."""
    image = tmp_path / "source.img"
    with image.open("wb") as file:
        file.truncate(512 << 20)
    run(["mkfs.ext4", "-q", str(image)])
    run(["mount", "-o", "loop", str(image), str(site.source)])
    try:
        yield site
    finally:
        run(["umount", "--lazy", str(site.source)])


def begin(site: Site, *options: str) -> subprocess.Popen[bytes]:
    argv = [*DTESX, "replicate", str(site.source), site.url(), "--token-file", str(site.token), *options]
    state = ["--state", str(site.source / "client")]  # on the file system that is frozen
    with (site.root / "replicate.log").open("ab") as log:
        return subprocess.Popen(
            [*argv, *state], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ)
        )


def point(site: Site) -> Any:
    done = site.dtesx("point", "--consistent", "--json", client="source/client")
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


def reach(site: Site) -> Any:
    """A point of a replication that may just be starting."""
    assert wait_until(lambda: site.dtesx("point", client="source/client").returncode == 0, timeout=40), (
        site.root / "replicate.log"
    ).read_text()
    return point(site)


def test_its_own_state_may_be_on_what_is_frozen(frozen: Site) -> None:
    process = begin(frozen, *_OPTIONS, "--status", str(frozen.source / "status"))
    try:
        numbers = []
        for number in range(3):
            (frozen.source / f"new{number}").write_bytes(b"%d" % number)
            found = reach(frozen)
            assert found["kind"] == "crash-consistent"
            assert (frozen.data / "www" / f"new{number}").read_bytes() == b"%d" % number
            numbers.append(found["number"])
        assert numbers == sorted(set(numbers))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)


def test_killed_at_any_time_it_leaves_nothing_frozen(frozen: Site) -> None:
    chance = random.Random(1)
    for number in range(_KILLS):
        process = begin(frozen, *_OPTIONS)
        try:
            assert reach(frozen)["kind"] == "crash-consistent"
            until = time.monotonic() + chance.uniform(0, 0.6)
            while time.monotonic() < until:
                (frozen.source / f"file{chance.randrange(20)}").write_bytes(chance.randbytes(50_000))
        finally:
            process.kill()
            process.wait(10)
        (frozen.source / f"after{number}").write_bytes(b"x")  # does not end while it is frozen
    process = begin(frozen, *_OPTIONS)
    try:
        reach(frozen)
        assert frozen.differences("www", "--exclude=/client", *_SEEN) == ""
    finally:
        process.kill()
        process.wait(10)


def test_applications_are_released_at_the_next_start(frozen: Site) -> None:
    held = frozen.root / "held"
    hooks = ["--quiesce", f"sh -c 'touch {held}; sleep 5'", "--release", f"rm -f {held}"]
    process = begin(frozen, *hooks, "--consistent-every", "0.1")
    try:
        assert wait_until(held.exists, timeout=40)
    finally:
        process.kill()
        process.wait(10)
    assert held.exists()
    process = begin(frozen, *hooks, "--consistent-every", "0")
    try:
        assert wait_until(lambda: not held.exists(), timeout=40)
    finally:
        process.kill()
        process.wait(10)
