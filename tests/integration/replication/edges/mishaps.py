"""A database that is written to, and a source, a target and a link that fail again and again.

A program of its own, for namespaces of its own: ``mishaps`` starts it there. What is mounted, and all
processes, end with it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from dtesx.base.run import Process, run, spawn
from tests.integration.replication.cutting import Cut

from .conftest import file_system
from .databases import DATABASES, Look
from .keeping import whole

_CONTAINED = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
_REPOSITORY = Path(__file__).parents[4]
_PACKAGE = "tests.integration.replication.edges"
_PORT = 1500
_WAIT = 120.0
_AT_LEAST = 3
_MISHAPS = ("cut", "source", "target", "both")


def mishaps(work: Path, kind: str, database: str, seed: int, seconds: float) -> tuple[int, str]:
    """Replicate so long, in ``work``, an empty directory; returns 0 and what was done, or what was wrong."""
    argv = [*_CONTAINED, "--", sys.executable, "-m", f"{_PACKAGE}.mishaps"]
    argv += [str(work), kind, database, str(seed), str(seconds)]
    done = run(argv, env={"PYTHONPATH": str(_REPOSITORY)}, ok=range(256), timeout=600 + 2 * seconds)
    return done.status, (done.stdout + done.stderr).decode(errors="replace")


class Ends:
    """`dtesx replicate` and `dtesx target`, with the link between them; all of them can fail."""

    def __init__(self, work: Path, source: Path, link: Cut) -> None:
        self.copies = work / "copies"
        self.link = link
        self._work = work
        self._running: dict[str, Process] = {}
        replicas, target = work / "replicas", work / "target"
        self._token = target / "token"
        self._argv = {
            "target": [
                *(f"{_PACKAGE}.keeping", str(self.copies), str(replicas / "data"), "target"),
                *("--listen", f"127.0.0.1:{_PORT}", "--state", str(target), "--data", str(replicas)),
            ],
            "source": [
                *("dtesx", "replicate", str(source), f"dtesx://127.0.0.1:{link.port}/data", "--epoch", "0.3"),
                *("--state", str(work / "client"), "--status", str(work / "status")),
                *("--consistent-every", "0.3", "--freeze-budget", "2"),
            ],
        }
        for directory in (replicas, self.copies):
            directory.mkdir()

    def begin(self) -> None:
        """Start both; the source with the token, which is good for one time."""
        self.start("target")
        _until(self._token.exists, "the target does not start")
        self.start("source", "--token-file", str(self._token))
        _until(lambda: any((self._work / "client/targets").glob("*.crt")), "the source does not pair")

    def start(self, which: str, *more: str) -> None:
        with (self._work / f"{which}.log").open("ab") as log:
            argv = [sys.executable, "-m", *self._argv[which], *more]
            self._running[which] = spawn(argv, stdout=log, stderr=log, env={"PYTHONPATH": str(_REPOSITORY)})

    def fail(self, which: str) -> None:
        """Have one of them fail, or both, or the link; what ends is started again."""
        if which == "cut":
            self.link.all()
            return
        for one in ("source", "target") if which == "both" else (which,):
            process = self._running.pop(one)
            process.kill()
            status = process.wait()
            log = (self._work / f"{one}.log").read_text().splitlines()[-20:]
            assert status == -signal.SIGKILL, "\n".join((*log, f"the {one} had ended with {status}"))
        for one in {"source", "target"} - self._running.keys():
            self.start(one)

    def end(self) -> None:
        """Have both end by themselves: a source killed with its guardian leaves frozen what it froze."""
        while self._running:
            _, process = self._running.popitem()
            process.terminate()
            process.wait(60)

    def newest(self) -> float:
        """Of when the latest epoch of one moment is that the target has; 0.0: it has none."""
        status = self._work / "status"
        consistent = json.loads(status.read_text())["consistent"] if status.exists() else None
        return float(consistent["taken"]) if consistent else 0.0

    def freezes(self) -> str:
        return str(json.loads((self._work / "status").read_text())["freezes"])


class Examined:
    """The copies that were looked at: how many, and how far they were."""

    def __init__(self, copies: Path, look: Look) -> None:
        self._copies = copies
        self._look = look
        self.counts: list[int] = []

    def go_on(self) -> None:
        """Look at the next copy, if there is one."""
        numbers = whole(self._copies)
        if not numbers:
            return
        copy = self._copies / f"{numbers[0]}"
        self.counts.append(self._look(copy))
        shutil.rmtree(copy)
        assert self.counts == sorted(self.counts), "what was done once is undone"


def _until(done: object, why: str) -> None:
    deadline = time.monotonic() + _WAIT
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


def _run(work: Path, kind: str, database: str, seed: int, seconds: float) -> Iterator[str]:
    """Yields what happened; raises AssertionError, or what looks at a copy does."""
    chance = random.Random(seed)
    run(["ip", "link", "set", "lo", "up"])
    source = work / "source"
    source.mkdir()
    with ExitStack() as stack:
        stack.enter_context(file_system(kind, work / "source.img", source))
        look = stack.enter_context(DATABASES[database](source))
        ends = Ends(work, source, stack.enter_context(Cut(_PORT)))
        stack.callback(ends.end)
        ends.begin()
        examined = Examined(ends.copies, look)
        end, then = time.monotonic() + seconds, time.monotonic()
        happened = 0
        while time.monotonic() < end or len(examined.counts) < _AT_LEAST:
            assert time.monotonic() < end + _WAIT, "there are no epochs of one moment"
            examined.go_on()
            if then < time.monotonic() < end:
                ends.fail(chance.choice(_MISHAPS))
                happened += 1
                then = time.monotonic() + chance.uniform(0.2, 6.0)
            time.sleep(0.05)
        now = time.time()
        _until(lambda: ends.newest() > now, "it does not go on in the end")
        told = ends.freezes()
        ends.end()
        while whole(ends.copies):
            examined.go_on()
        yield f"{happened} mishaps, {len(examined.counts)} copies sound, {told}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("kind")
    parser.add_argument("database", choices=list(DATABASES))
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    try:
        for line in _run(given.work, given.kind, given.database, given.seed, given.seconds):
            print(line, flush=True)
    except BaseException as error:
        print(f"seed {given.seed}: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)


if __name__ == "__main__":
    main()
