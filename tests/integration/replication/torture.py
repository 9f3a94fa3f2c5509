"""A real source and a real target, somebody who changes whatever can be changed, and accidents.

A program of its own, for namespaces of its own: ``torture`` starts it there. What is mounted, and all
processes, end with it. Who changes the tree is shut up in it, so that nothing can be changed elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dtesx.base.run import Process, run, spawn

from .cutting import Cut
from .vandal import Vandal

_CONTAINED = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")
_REPOSITORY = Path(__file__).parents[3]
_DTESX = (sys.executable, "-m", "dtesx")
_MAKE = {
    "ext4": ["mkfs.ext4", "-q"],
    "xfs": ["mkfs.xfs", "-q"],
    "btrfs": ["mkfs.btrfs", "-q"],
}
_SIZE = 1 << 30
_PORT = 1500
_WAIT = 60.0
_DEEDS = 20
_FIO = ["fio", "--name=load", "--rw=randrw", "--rwmixwrite=80", "--bs=1k-16k", "--size=6m", "--iodepth=8"]
_FIO += ["--time_based", "--runtime=600", "--rate_iops=100", "--fallocate=none", "--allow_file_create=0"]
_FIO += ["--thread"]  # in a process of its own, the job would go on when fio is stopped
_ACCIDENTS = ("nothing", "cut", "target", "source", "both", "away")
_SPARED = "spared"
"""The directory that nothing is done to but by the programs that write there: elsewhere they end soon."""
_ENGINES = (("libaio", 1), ("io_uring", 0), ("mmap", 0))


def torture(work: Path, kind: str, rung: str, seed: int, rounds: int) -> tuple[int, str]:
    """Torture a replication in ``work``, an empty directory; returns 0 and what was done, or what differs."""
    argv = [*_CONTAINED, "--", sys.executable, "-m", "tests.integration.replication.torture"]
    argv += [str(work), kind, rung, str(seed), str(rounds)]
    done = run(argv, env={"PYTHONPATH": str(_REPOSITORY)}, ok=range(256))
    if done.status == 0:
        for image in work.glob("*.img"):
            image.unlink()
    return done.status, (done.stdout + done.stderr).decode(errors="replace")


class Site:
    """A source and a target that may be killed, and started again; the link between them may be cut."""

    def __init__(self, work: Path, source: Path, link: Cut) -> None:
        self.work = work
        self.source = source
        self.replica = work / "replicas/data"
        self.link = link
        self._running: dict[str, Process] = {}
        self._starters = {"source": self._source, "target": self._target}

    def start(self, which: str) -> None:
        with (self.work / f"{which}.log").open("ab") as log:
            argv = [*_DTESX, *self._starters[which]()]
            self._running[which] = spawn(argv, stdout=log, stderr=log, env={"PYTHONPATH": str(_REPOSITORY)})

    def paired(self) -> bool:
        return any((self.work / "client/targets").glob("*.crt"))

    def kill(self, which: str) -> None:
        process = self._running.pop(which)
        process.kill()
        status = process.wait()
        assert status == -signal.SIGKILL, f"the {which} had ended by itself with {status}"

    def caught_up(self) -> None:
        """Wait until the replica has what there is now."""
        now = time.time()
        _until(lambda: self._settled(now), lambda: f"the replica does not catch up: {self._status()}")

    def equal(self) -> None:
        """Wait until the replica is as the source.

        What is mapped is compared anew all the time, and sent again; while that is applied, there are traces.
        """
        _until(lambda: not self.difference(), self.difference)

    def difference(self) -> str:
        """What rsync would do to the replica."""
        argv = ["rsync", "-aHAXnc", "--delete", "--itemize-changes", "--exclude=/.dtesx-tmp.*"]
        return run([*argv, f"{self.source}/", f"{self.replica}/"]).text

    def _status(self) -> str:
        file = self.work / "status"
        return file.read_text() if file.exists() else ""

    def _settled(self, since: float) -> bool:
        status = json.loads(self._status() or "{}")
        return bool(status) and status["current"] > since and not status["failed"]

    def _source(self) -> list[str]:
        way = [str(self.source), f"dtesx://127.0.0.1:{self.link.port}/data", "--epoch", "0.3"]
        token = [] if self.paired() else ["--token-file", str(self.work / "target/token")]
        return [
            *("replicate", *way, *token),
            *("--state", str(self.work / "client"), "--status", str(self.work / "status")),
        ]

    def _target(self) -> list[str]:
        state = ["--state", str(self.work / "target"), "--data", str(self.work / "replicas")]
        return ["target", "--listen", f"127.0.0.1:{_PORT}", *state]


class Doer:
    """A vandal in a process of its own, whose root directory is the tree."""

    def __init__(self, tree: Path, seed: int) -> None:
        here, self._wake = os.pipe()
        self._asleep, there = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._work(tree, seed, here, there)
            finally:
                traceback.print_exc()
                os._exit(1)
        os.close(here)
        os.close(there)

    def _work(self, tree: Path, seed: int, orders: int, done: int) -> None:
        os.chroot(tree)
        os.chdir("/")
        vandal = Vandal(Path("/"), seed, lasting=True, spared=Path("/", _SPARED))
        while order := os.read(orders, 1):
            deadline = time.monotonic() + order[0] / 10
            while time.monotonic() < deadline:
                vandal.act(_DEEDS)
                time.sleep(0.01)
            os.write(done, b".")

    def begin(self, seconds: float) -> None:
        """Begin to change things, for so long."""
        os.write(self._wake, bytes([round(seconds * 10)]))

    def wait(self) -> None:
        assert os.read(self._asleep, 1), f"who changes the tree died: {os.waitpid(self._pid, 0)[1]}"


def _until(done: Callable[[], bool], why: Callable[[], str]) -> None:
    deadline = time.monotonic() + _WAIT
    while not done():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


def _accidents(rng: random.Random) -> Iterator[str]:
    """What is to happen, for ever: all of it before anything happens again."""
    while True:
        yield from rng.sample(_ACCIDENTS, len(_ACCIDENTS))


def _accident(which: str, site: Site, rng: random.Random) -> None:
    """Something happens, at some time."""
    time.sleep(rng.uniform(0.1, 1.2))
    if which == "cut":
        site.link.all()
    elif which in ("target", "source"):
        site.kill(which)
        site.start(which)
    elif which == "both":
        site.kill("source")
        site.kill("target")
        site.start("target")
        site.start("source")
    elif which == "away":  # and much changes that nobody watches
        site.kill("source")
        time.sleep(1)
        site.start("source")


@contextmanager
def _mounted(kind: str, where: Path) -> Iterator[Path]:
    where.mkdir()
    image = where.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(_SIZE)
    run([*_MAKE[kind], str(image)])
    run(["mount", "-o", "loop", str(image), str(where)])
    yield where
    run(["umount", "--lazy", str(where)])
    image.unlink()


def _prepare(work: Path, kind: str, rung: str, stack: ExitStack) -> Path:
    """Make the file systems; returns the source tree, which can be watched by no better than ``rung``."""
    disk = stack.enter_context(_mounted(kind, work / "disk"))
    stack.enter_context(_mounted(kind, work / "replicas"))
    source = disk / "tree"
    source.mkdir()
    if rung == "B":
        run(["mount", "-t", "tmpfs", "none", "/sys/kernel/btf"])
    elif rung == "C":
        for name in ("upper", "inner"):
            (disk / name).mkdir()
        layers = f"lowerdir={source},upperdir={disk / 'upper'},workdir={disk / 'inner'}"
        source = work / "merged"
        source.mkdir()
        run(["mount", "-t", "overlay", "-o", layers, "none", str(source)])
    return source


def _load(directory: Path, number: int = 0) -> list[Process]:
    """Start programs that write to new files by other means than system calls for writing."""
    started = []
    for engine, direct in _ENGINES:
        file = directory / f"fio-{engine}-{number}"
        file.write_bytes(os.urandom(6 << 20))
        argv = [*_FIO, f"--ioengine={engine}", f"--direct={direct}", f"--filename={file}"]
        started.append(spawn(argv))
    return started


def _alive(load: list[Process]) -> list[Process]:
    return [process for process in load if process.poll() is None]


def _go(load: list[Process]) -> None:
    for process in _alive(load):
        process.send_signal(signal.SIGCONT)


def _stop(load: list[Process], disk: Path) -> None:
    """Stop what writes, and return when nothing is written any more."""
    alive = _alive(load)
    for process in alive:
        process.send_signal(signal.SIGSTOP)
    _until(lambda: all(_is_still(process.pid) for process in alive), lambda: "the load does not stop")

    def frozen() -> bool:  # for which the kernel waits until what it was asked to write is written
        return run(["fsfreeze", "--freeze", str(disk)], ok=(0, 1)).status == 0

    _until(frozen, lambda: f"{disk} cannot be frozen")
    run(["fsfreeze", "--unfreeze", str(disk)])


def _is_still(process: int) -> bool:
    """Whether a process is stopped, and the kernel's threads that write for it sleep (io_uring).

    One that has others work for it is not: who stopped it did not stop these.
    """
    try:
        if any(file.read_text() for file in Path(f"/proc/{process}/task").glob("*/children")):
            return False
        states = {
            int(task.name): (task / "stat").read_text().rpartition(")")[2].split()[0]
            for task in Path(f"/proc/{process}/task").iterdir()
        }
    except OSError:  # a thread ended
        return False
    return states.pop(process, "Z") in "TZ" and not {"R", "D"} & set(states.values())


def _run(work: Path, kind: str, rung: str, seed: int, rounds: int) -> Iterator[str]:
    """Yields what was done; raises AssertionError when the replica differs."""
    rng = random.Random(seed)
    run(["ip", "link", "set", "lo", "up"])
    with ExitStack() as stack:
        source = _prepare(work, kind, rung, stack)
        site = Site(work, source, stack.enter_context(Cut(_PORT)))
        (source / _SPARED).mkdir()
        doer = Doer(source, seed)
        spared, exposed = _load(source / _SPARED), _load(source)
        doer.begin(0.5)
        site.start("target")
        _until((work / "target/token").exists, lambda: "the target does not start")
        site.start("source")
        _until(site.paired, lambda: "the source does not pair with the target")  # which is not tried again
        doer.wait()
        for number, which in zip(range(rounds), _accidents(rng), strict=False):
            _go(spared + exposed)
            exposed = _alive(exposed) or _load(source, number + 1)
            doer.begin(rng.uniform(0.3, 2.0))
            _accident(which, site, rng)
            doer.wait()
            _stop(spared + exposed, work / "disk")
            assert _alive(spared) == spared, "a program that writes ended by itself"
            began = time.monotonic()
            site.caught_up()
            try:
                site.equal()
            except AssertionError as error:
                raise AssertionError(f"round {number}, {which}:\n{error}") from error
            yield f"round {number}: {which}, equal after {time.monotonic() - began:.1f} s"
        os._exit(0)  # which ends all that is left


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("kind", choices=list(_MAKE))
    parser.add_argument("rung", choices=["A", "B", "C"])
    parser.add_argument("seed", type=int)
    parser.add_argument("rounds", type=int)
    given = parser.parse_args()
    try:
        for line in _run(given.work, given.kind, given.rung, given.seed, given.rounds):
            print(line, flush=True)
    except AssertionError as error:
        print(f"seed {given.seed}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


if __name__ == "__main__":
    main()
