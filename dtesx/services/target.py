"""The target of one-shot mirrors: holds any number of replicas below one directory, on one port."""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from dtesx.apply.epochs import EpochLog
from dtesx.base.errors import Conflict, DtesxError, NotFound, Refused, UsageError
from dtesx.base.files import private_directory, write_atomic
from dtesx.base.log import get_logger
from dtesx.management import pausing, queueing
from dtesx.management.local_calls import NotRunning, answering
from dtesx.management.process import alone
from dtesx.model.epoch import QueueAction, QueueOrder, TargetQueue
from dtesx.model.location import checked_set_name
from dtesx.model.stats import MirrorStats
from dtesx.model.target import Paused, TargetOptions, WorkerPhase
from dtesx.model.tasks import Task
from dtesx.replication.accepting import Place
from dtesx.replication.binding import Binding
from dtesx.replication.keeper import Keeper
from dtesx.replication.orders import Orders
from dtesx.replication.receiving import receive
from dtesx.replication.sources import Sources
from dtesx.replication.tasks import Tasks
from dtesx.services.waiting import stopped_by_signals, wait_or_end
from dtesx.wire import pairing
from dtesx.wire.identity import fingerprint, load_or_create
from dtesx.wire.messages import Hello

log = get_logger(__name__)

_BINDINGS, _EPOCHS = "roots", "epochs"


def run(
    address: str,
    port: int,
    data: Path,
    state: Path,
    *,
    tls: bool,
    options: TargetOptions,
    tasks: Mapping[str, Task],
) -> None:
    """Serve until SIGTERM or SIGINT; prints one line when ready.

    Replicas are directories below ``data``; identity, token and the known sources are kept in
    ``state``, and made at first start. ``tls`` off: sources may come with or without it. ``tasks`` are what
    they may have run here. Raises UsageError when one directory lies in the other's way, and Conflict
    when port, ``data`` or ``state`` is in use.
    """
    data, state = data.resolve(), state.resolve()
    if state.is_relative_to(data):
        raise UsageError(
            f"the state directory {state} lies in the data directory, where sources write",
            hint="give --state a directory outside of --data",
        )
    stop = stopped_by_signals()
    private_directory(state)
    with ExitStack() as stack:
        stack.enter_context(alone(state))
        stack.enter_context(_only_target(data))
        listener = stack.enter_context(_listen(address, port))
        wait = partial(wait_or_end, stop, options.retry_delay)
        target = Target(data, state, tls=tls, tasks=tasks, wait=wait)
        calls = {**pausing.answers(target.pauses, target.resumed), **queueing.answers(target.order)}
        stack.enter_context(answering(state, calls))
        if target.pauses.paused != Paused():
            log.warning("the target is paused", what=target.pauses.paused)
        target.recover()
        _say_ready(address, listener.getsockname()[1], target.token_file)
        log.info("target ready", data=str(data), certificate=target.identity.fingerprint)
        receive(listener, target, stop=stop, options=options)
    log.info("target ended")


def pause(state: Path, name: str) -> Paused:
    """Pause a replica, or all of a target (empty ``name``), whether the target runs or not.

    What is in progress is completed, and waited for (management.pausing.WAIT). Raises NotFound when
    there is no such target or replica.
    """
    _check(state, name)
    return pausing.pause(state, name, partial(alone, state))


def resume(state: Path, name: str) -> Paused:
    """Have a paused replica, or all of a target, go on; raises NotFound, and Conflict as Pauses does."""
    _check(state, name)
    return pausing.resume(state, name, partial(alone, state))


def queue(state: Path, order: QueueOrder) -> TargetQueue:
    """Deal with what waits for a replica to be applied; where the target does not run, nothing can be.

    Raises NotFound when there is no such target or replica, NotRunning, and what Epochs.obey raises.
    """
    _check(state, order.name)
    return queueing.order(state, order, partial(alone, state), lambda: _without(state, order))


def _without(state: Path, order: QueueOrder) -> TargetQueue:
    epochs = state / _EPOCHS / order.name
    if order.action is QueueAction.APPLY or (
        order.action is QueueAction.DISCARD and EpochLog(epochs).begun()
    ):
        raise NotRunning(
            f"no target uses {state}, and only a target knows where its replicas are",
            hint="start it; what is paused it leaves as it is, but for an epoch that it had begun to apply",
        )
    gate = pausing.pauses(state).gate(order.name)
    return Keeper(epochs, Tasks(epochs), Path, lambda: None, gate, Orders()).order(order)


def _check(state: Path, name: str) -> None:
    bindings = state / _BINDINGS
    if not bindings.is_dir():
        raise NotFound(f"no target keeps its state in {state}", hint="give the --state of `dtesx target`")
    if name and not (bindings / f"{name}.json").exists():
        known = ", ".join(sorted(file.stem for file in bindings.glob("*.json")))
        raise NotFound(f"the target has no replica {name!r}", hint=f"it has: {known or 'none yet'}")


class Target:
    """The host of all sources that know the token: each name below ``data`` is one place."""

    def __init__(
        self,
        data: Path,
        state: Path,
        *,
        tls: bool,
        tasks: Mapping[str, Task],
        wait: Callable[[], None],
    ) -> None:
        self.identity = load_or_create(state, f"dtesx target {socket.gethostname()}")
        self.token_file = state / "token"
        if not self.token_file.exists():
            write_atomic(self.token_file, f"{pairing.new_token()}\n".encode())
        self._data = data
        self._catalogues = private_directory(state / "catalogues")
        self._epochs = private_directory(state / _EPOCHS)
        self._known_tasks = tasks
        self._wait = wait
        self._lock = threading.Lock()
        self._all_orders: dict[str, Orders] = {}
        self._bindings = private_directory(state / _BINDINGS)
        self.pauses = pausing.pauses(state)
        self.sources = Sources(state / "sources", self.identity, self.token_file, plain=not tls)

    def recover(self) -> None:
        """Apply the epochs that were whole when the target ended, unless their replica is paused."""
        for epochs in self._epochs.iterdir():
            self._keeper(epochs.name).recover()

    def resumed(self, name: str) -> None:
        """A replica (empty: every one) is not paused any more."""
        for epochs in self._epochs.iterdir():
            if name in ("", epochs.name):
                self._keeper(epochs.name).resumed()

    def order(self, order: QueueOrder) -> TargetQueue:
        """Deal with what waits for a replica."""
        return self._keeper(order.name).order(order)

    def _keeper(self, name: str) -> Keeper:
        directory = self._data / name
        return Keeper(
            self._epochs / name,
            self._tasks(name),
            lambda _root: directory,
            self._wait,
            self.pauses.gate(name),
            self._orders(name),
        )

    def _tasks(self, name: str) -> Tasks:
        return Tasks(self._epochs / name, self._known_tasks, str(self._data / name))

    def _orders(self, name: str) -> Orders:
        with self._lock:
            return self._all_orders.setdefault(name, Orders())

    @property
    def context(self) -> ssl.SSLContext:
        return self.sources.context

    def admit(self, hello: Hello, certificate: bytes) -> Place:
        if not self.sources.knows(certificate):
            raise Refused(
                "this target does not know the source",
                hint="give the target's token once: --token-file FILE",
            )
        try:
            name = checked_set_name(hello.job)
        except ValueError as error:
            raise UsageError(str(error), hint="use another name in dtesx://HOST:PORT/NAME") from error
        if len(hello.roots) != 1:
            raise UsageError("one name holds one tree", hint="mirror each tree to a name of its own")
        source = fingerprint(ssl.DER_cert_to_PEM_cert(certificate))
        binding = Binding(self._bindings / f"{name}.json", source, one_root=True)
        if hello.existing:
            binding.check()
            directory = self._existing(name)
        else:
            binding.claim()
            directory = self._made(name)
        roots = {hello.roots[0]: directory}
        kept = self._epochs / name, self._tasks(name), self._catalogues / name
        guards = self.pauses.gate(name), self._orders(name)
        return Place(name, roots, binding, partial(_log, name), *kept, *guards)

    def _existing(self, name: str) -> Path:
        path = self._data / name
        if not path.is_dir():
            raise NotFound(
                f"the target has no replica {name}",
                hint="check the name in dtesx://HOST:PORT/NAME, or make the replica: dtesx mirror",
            )
        return path

    def _made(self, name: str) -> Path:
        path = self._data / name
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DtesxError(
                f"the target cannot make {path}: {error.strerror}", hint="look at the target's data directory"
            ) from error
        return path


def _log(name: str, phase: WorkerPhase, stats: MirrorStats, message: str) -> None:
    if phase is not WorkerPhase.RECEIVING:
        counts = {"files": stats.files_sent, "bytes": stats.bytes_sent, "orphans": stats.orphans_removed}
        event = "source gone" if phase is WorkerPhase.LISTENING else "a source waits"
        log.info(event, name=name, phase=phase, reason=message, **counts)


def _say_ready(address: str, port: int, token: Path) -> None:
    host = f"[{address}]" if ":" in address else address
    sys.stdout.write(f"dtesx target listening on {host}:{port}, token in {token}\n")
    sys.stdout.flush()


@contextmanager
def _only_target(data: Path) -> Iterator[None]:
    """Hold the lock of the data directory, which is made if it is missing."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"another dtesx target holds {data}", hint="stop that one, or use another directory"
            ) from error
        yield
    finally:
        os.close(fd)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=16)
    except OSError as error:
        raise Conflict(
            f"port {port} on {address} cannot be opened: {error.strerror or error}",
            hint=f"find what uses it with `ss -ltnp sport = :{port}`",
        ) from error
