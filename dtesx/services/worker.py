"""The target worker: one process per job that mounts the replica's disks and receives into them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import Conflict, DtesxError, Interrupted
from dtesx.base.files import replace_volatile
from dtesx.base.locks import exclusive
from dtesx.base.log import get_logger
from dtesx.management import pausing, queueing
from dtesx.management.local_calls import answering
from dtesx.model.stats import MirrorStats
from dtesx.model.target import EPOCHS, WorkerPhase, WorkerSpec, WorkerStatus
from dtesx.replication.binding import Binding
from dtesx.replication.keeper import Keeper
from dtesx.replication.orders import Orders
from dtesx.replication.receiving import serve
from dtesx.replication.tasks import Tasks
from dtesx.services.waiting import stopped_by_signals, wait_or_end
from dtesx.volumes.disks import find_disk
from dtesx.volumes.mounts import mounted_layout
from dtesx.wire.identity import load_or_create
from dtesx.wire.tls import server_context

log = get_logger(__name__)


@dataclass
class Reporter:
    """Keeps ``status.json`` current; the management service and `dtesx job show` read it."""

    path: Path
    status: WorkerStatus

    def say(self, phase: WorkerPhase, stats: MirrorStats, message: str = "") -> None:
        """Publish where the worker stands."""
        self._publish(replace(self.status, phase=phase, stats=stats, message=message))

    def failed(self, error: DtesxError) -> None:
        """Publish why the worker ends."""
        self._publish(
            replace(
                self.status,
                phase=WorkerPhase.FAILED,
                code=error.code,
                message=error.message,
                hint=error.hint,
            )
        )

    def phase(self, phase: WorkerPhase) -> None:
        """Publish a new phase, everything else as it was."""
        self.say(phase, self.status.stats)

    def _publish(self, status: WorkerStatus) -> None:
        self.status = status
        replace_volatile(self.path, msgspec.json.encode(status))


def run(directory: Path) -> None:
    """Serve one job from its directory until SIGTERM, then unmount and return.

    ``directory`` holds worker.json; the process holds a lock on worker.lock for as long as it
    lives, so a second worker for the same disks cannot start. Raises DtesxError when the disks
    cannot be found or mounted or the port is taken; status.json then says why.
    """
    spec = msgspec.json.decode((directory / "worker.json").read_bytes(), type=described(WorkerSpec))
    stop = stopped_by_signals()
    with _locked(directory / "worker.lock"):
        reporter = Reporter(
            directory / "status.json", WorkerStatus(WorkerPhase.STARTING, os.getpid(), spec.port)
        )
        reporter.phase(WorkerPhase.STARTING)
        try:
            _serve(spec, directory, reporter, stop)
        except DtesxError as error:
            reporter.failed(error)
            raise
        reporter.phase(WorkerPhase.STOPPED)


def _serve(spec: WorkerSpec, directory: Path, reporter: Reporter, stop: threading.Event) -> None:
    identity = load_or_create(Path(spec.identity_directory), socket.gethostname())
    context = server_context(identity, [spec.source_certificate])
    devices = [find_disk(uuid) for uuid in spec.disk_uuids]
    where = directory / "replica"
    where.mkdir(exist_ok=True)
    with ExitStack() as stack:
        roots = stack.enter_context(mounted_layout(spec.layout, devices, where, nested=False))
        epochs = directory / EPOCHS
        pauses, orders = pausing.pauses(directory), Orders()
        gate, wait = pauses.gate(""), partial(wait_or_end, stop, spec.options.retry_delay)
        tasks = Tasks(epochs, spec.tasks, str(where))
        keeper = Keeper(epochs, tasks, roots.__getitem__, wait, gate, orders)
        keeper.recover()
        listener = stack.enter_context(_listen(spec.address, spec.port))
        calls = pausing.answers(pauses, lambda _name: keeper.resumed()), queueing.answers(keeper.order)
        stack.enter_context(answering(directory, {**calls[0], **calls[1]}))
        reporter.phase(WorkerPhase.LISTENING)
        log.info("worker ready", job=spec.job, port=spec.port, roots=len(roots))
        binding, catalogues = Binding(directory / "roots.json"), directory / "catalogues"
        serve(
            listener,
            context,
            roots,
            binding=binding,
            status=reporter.say,
            stop=stop,
            tasks=tasks,
            catalogue=catalogues,
            gate=gate,
            orders=orders,
            job=spec.job,
            options=spec.options,
        )
        with suppress(Interrupted):  # of one that was cut off, nothing may be half there
            keeper.finish()


def _listen(address: str, port: int) -> socket.socket:
    try:
        return socket.create_server((address, port), backlog=4)
    except OSError as error:
        raise Conflict(
            f"port {port} on {address} cannot be opened: {error.strerror}",
            hint=f"find what uses it with `ss -ltnp sport = :{port}`",
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the job's lock; the file names the process that does."""
    taken = Conflict("the job's worker runs already", hint="stop it before starting another")
    with exclusive(path, taken) as fd:
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
