"""The target workers on this appliance: started, found again after a restart, ended."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from dtesx.apply.epochs import EpochLog
from dtesx.base.described import described
from dtesx.base.errors import CommandFailed, Conflict, DtesxError, Interrupted, from_code
from dtesx.base.files import private_directory, write_atomic
from dtesx.base.log import get_logger
from dtesx.base.retry import wait_until
from dtesx.base.run import Process, spawn
from dtesx.management import pausing
from dtesx.model.epoch import Epoch
from dtesx.model.location import DATA_PORT
from dtesx.model.target import EPOCHS, Paused, WorkerPhase, WorkerSpec, WorkerStatus

log = get_logger(__name__)

T = TypeVar("T")

_COMMAND = (sys.executable, "-m", "dtesx", "service", "worker", "--directory")
_READY = (WorkerPhase.LISTENING, WorkerPhase.RECEIVING, WorkerPhase.PAUSED, WorkerPhase.TARGET_FULL)
_PORTS = 1000
_POLL = 0.05
_KILL_SECONDS = 10.0
_LOG_TAIL = 1500


@dataclass(frozen=True)
class Limits:
    """How long to wait, in seconds: for a worker to listen, and for it to end when asked to."""

    start: float = 120.0
    stop: float = 60.0


class LocalWorkers:
    """Implements recovery's port ``Workers`` with one process per job.

    A worker lives in ``root/JOB`` and outlives this service: its lock file names its process, by
    which a restarted service finds it. ``release`` undoes what a killed worker left mounted;
    ``cancel`` ends waiting for a worker.
    """

    def __init__(
        self,
        root: Path,
        *,
        release: Callable[[Path, Sequence[str]], None],
        command: Sequence[str] = _COMMAND,
        limits: Limits = Limits(),
        cancel: threading.Event | None = None,
    ) -> None:
        self._root, self._release, self._command, self._limits = root, release, tuple(command), limits
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._children: dict[str, Process] = {}
        self._ports = threading.Lock()
        self._reserved: set[int] = set()
        self._cancel = cancel or threading.Event()

    def start(self, spec: WorkerSpec) -> WorkerStatus:
        """Start the job's worker and wait until it listens; a listening one is left alone.

        Raises what ended the worker, or DtesxError when it does not listen in time.
        """
        directory = self._directory(spec.job)
        with self._locks[spec.job]:
            running = self._pid(spec.job)
            if running is not None:
                status = _read(directory / "status.json", WorkerStatus)
                same = _read(directory / "worker.json", WorkerSpec) == spec
                if same and status is not None and _listens(status, running):
                    return status
            self._end(spec.job)
            (directory / "status.json").unlink(missing_ok=True)
            write_atomic(directory / "worker.json", msgspec.json.encode(spec))
            self._reserved.discard(spec.port)
            return self._launch(spec.job, directory)

    def stop(self, job: str) -> None:
        """End the job's worker and wait until nothing of it is mounted; fine if none runs."""
        with self._locks[job]:
            self._end(job)

    def status(self, job: str) -> WorkerStatus | None:
        """The worker's last report; None when there is no live worker."""
        pid = self._pid(job)
        if pid is None:
            return None
        status = _read(self._root / job / "status.json", WorkerStatus)
        return status if status and status.pid == pid else WorkerStatus(WorkerPhase.STARTING, pid)

    def pause(self, job: str) -> Paused:
        """Have the job's worker apply nothing more, the present one and later ones."""
        return pausing.pause(self._directory(job), "", lambda: self._locks[job])

    def resume(self, job: str) -> Paused:
        """Have the job's worker go on."""
        return pausing.resume(self._directory(job), "", lambda: self._locks[job])

    def paused(self, job: str) -> bool:
        """Whether the job's worker is paused."""
        return pausing.pauses(self._root / job).paused.all

    def epoch(self, job: str) -> Epoch | None:
        """The last epoch that is on the replica's disks; None when there was none."""
        return EpochLog(self._root / job / EPOCHS).last()

    def unsettled(self, job: str) -> bool:
        """Whether epochs that arrived whole may be on the replica's disks in part.

        While the worker is paused, that is what it had begun to apply before.
        """
        epochs = EpochLog(self._root / job / EPOCHS)
        return bool(epochs.begun()) if self.paused(job) else bool(epochs.waiting())

    @contextmanager
    def listening(self, job: str, port: int) -> Iterator[int]:
        """A data port that can be connected to for as long as needed; 0: any that is free.

        Where the job's worker listens, it is that one's; Conflict when something else has the port.
        """
        if not port:
            with self._free_for_a_while() as free, _listener(free):
                yield free
            return
        with self._locks[job]:  # no worker is started meanwhile, which would find its port taken
            status = self.status(job)
            if status is not None and status.phase in _READY:
                yield port
                return
            with _listener(port):
                yield port

    def free_port(self) -> int:
        """A data port that no job uses, 1500 first; it stays reserved until a worker gets it."""
        with self._ports:
            specs = (_read(path, WorkerSpec) for path in self._root.glob("*/worker.json"))
            used = {spec.port for spec in specs if spec is not None} | self._reserved
            for port in range(DATA_PORT, DATA_PORT + _PORTS):
                if port not in used and _bindable(port):
                    self._reserved.add(port)
                    return port
        raise Conflict(
            f"no free data port between {DATA_PORT} and {DATA_PORT + _PORTS - 1}",
            hint="look with `ss -ltn` at what uses these ports",
        )

    def close(self) -> None:
        """End all workers, because the service ends; what waits for a worker is interrupted."""
        self._cancel.set()
        jobs = [path.parent.name for path in self._root.glob("*/worker.lock")]
        for job in jobs:
            self._signal(job, signal.SIGTERM)
        for job in jobs:
            try:
                self.stop(job)
            except DtesxError as error:
                log.error("a worker could not be ended", job=job, reason=error.message)

    @contextmanager
    def _free_for_a_while(self) -> Iterator[int]:
        port = self.free_port()
        try:
            yield port
        finally:
            with self._ports:
                self._reserved.discard(port)

    # --- inside; the job's lock is held

    def _launch(self, job: str, directory: Path) -> WorkerStatus:
        fd = os.open(directory / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            child = spawn([*self._command, str(directory)], stdout=fd, stderr=fd)
        finally:
            os.close(fd)
        self._children[job] = child
        log.info("worker started", job=job, pid=child.pid)
        try:
            return self._await(child, job, directory)
        except DtesxError:
            self._end(job)
            raise

    def _await(self, child: Process, job: str, directory: Path) -> WorkerStatus:
        deadline = time.monotonic() + self._limits.start
        while time.monotonic() < deadline:
            ended = child.poll()  # before the report is read: a report cannot follow the end
            status = _read(directory / "status.json", WorkerStatus)
            if status is not None and status.pid == child.pid:
                if status.phase in _READY and ended is None:
                    return status
                if status.phase is WorkerPhase.FAILED:
                    raise from_code(status.code, status.message, status.hint)
            if ended is not None:
                raise CommandFailed(
                    f"the target worker ended with status {ended}: {_tail(directory / 'worker.log')}",
                    hint=f"its log is {directory / 'worker.log'} on the appliance",
                )
            if self._cancel.wait(_POLL):
                raise Interrupted(
                    "the management service is being stopped", hint="run the same command again to go on"
                )
        raise DtesxError(
            f"the target worker of job {job} does not listen after {self._limits.start:.0f} s",
            hint=f"its log is {directory / 'worker.log'} on the appliance",
        )

    def _end(self, job: str) -> None:
        if not self._terminate(job, signal.SIGTERM, self._limits.stop):
            log.warning("the worker does not end; killing it", job=job)
            if not self._terminate(job, signal.SIGKILL, _KILL_SECONDS):
                raise DtesxError(
                    f"the target worker of job {job} (process {self._pid(job)}) cannot be ended",
                    hint="look at the appliance's kernel log: its disk may not answer",
                )
        # Always, not only after a kill: a worker may have died long ago, or while it unmounted, and
        # this service while it had the replica mounted to make it bootable.
        directory = self._root / job
        spec = _read(directory / "worker.json", WorkerSpec)
        if spec is not None:
            self._release(directory, spec.disk_uuids)

    def _terminate(self, job: str, number: signal.Signals, seconds: float) -> bool:
        self._signal(job, number)
        return wait_until(lambda: self._pid(job) is None, timeout=seconds, interval=_POLL)

    def _signal(self, job: str, number: signal.Signals) -> None:
        pid = self._pid(job)
        if pid is None:
            return
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if pid == self._pid(job):  # asked again, now that the number cannot change its owner
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)

    def _directory(self, job: str) -> Path:
        return private_directory(self._root / job)

    def _pid(self, job: str) -> int | None:
        """The live worker of a job: our child, or the process that its lock file names."""
        child = self._children.get(job)
        if child is not None:
            if child.poll() is None:
                return child.pid
            self._children.pop(job, None)
        directory = self._root / job
        try:
            pid = int((directory / "worker.lock").read_text())
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        # The number may be another program's by now; a worker has its directory as argument.
        return pid if os.fsencode(directory) in arguments else None


def _listens(status: WorkerStatus, pid: int) -> bool:
    return status.pid == pid and status.phase in _READY


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=described(kind))
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        log.warning("unreadable file", path=str(path), reason=str(error))
        return None


def _bindable(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("", port))
    except OSError as error:
        hint = f"look with `ss -ltnp 'sport = :{port}'` at what uses it"
        raise Conflict(f"the data port {port} cannot be used: {error.strerror}", hint=hint) from error


def _tail(path: Path) -> str:
    data = path.read_bytes()[-_LOG_TAIL:]
    return data.decode(errors="replace").strip() or "it wrote no message"
