"""A source's API and an appliance's API on 127.0.0.1, over real TLS."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dtesx.management.job_replications import JobReplications, Told
from dtesx.management.mirrors import Mirrors, Progress
from dtesx.management.pairings import Pairings
from dtesx.management.server import serving
from dtesx.management.source_api import rules
from dtesx.management.web import Call, Rule, application
from dtesx.model.api import PairReply
from dtesx.model.request import MirrorPhase, MirrorRequest, ReplicationRequest
from dtesx.model.stats import MirrorStats
from dtesx.replication.control import MirrorControl
from dtesx.wire.identity import Identity, create, load_or_create
from dtesx.wire.tls import server_context
from tests.unit.planning.sources import inventory

INVENTORY = inventory()


@dataclass
class SourceSite:
    """A running source API; ``powered_off`` counts the requests to shut down."""

    state: Path
    port: int = 0
    powered_off: int = 0
    requests: list[MirrorRequest] = field(default_factory=list)
    replications: list[ReplicationRequest] = field(default_factory=list)

    @property
    def token(self) -> str:
        return (self.state / "token").read_text().strip()

    def run_mirror(
        self, request: MirrorRequest, identity: Identity, *, progress: Progress, control: MirrorControl
    ) -> MirrorStats:
        self.requests.append(request)
        progress(MirrorPhase.RUNNING, MirrorStats(files_total=2))
        return MirrorStats(files_total=2, files_sent=2)

    def run_replication(
        self,
        request: ReplicationRequest,
        identity: Identity,
        *,
        tell: Callable[[Told], None],
        control: MirrorControl,
        stop: threading.Event,
    ) -> None:
        self.replications.append(request)
        stop.wait(30)

    def power_off(self) -> None:
        self.powered_off += 1


@contextmanager
def source_site(state: Path, port: int = 0) -> Iterator[SourceSite]:
    """Serve a source API whose state is in ``state``."""
    site = SourceSite(state)
    identity = load_or_create(state, "source")
    pairings = Pairings(state, identity, "alpha")
    mirrors = Mirrors(identity, site.run_mirror)
    replications = JobReplications(identity, site.run_replication, lambda _job: None)
    made = rules(
        *(pairings, mirrors, replications),
        inventory=lambda: INVENTORY,
        power_off=site.power_off,
        state=state,
    )
    app = application(made, authorised=pairings.authorised)
    with serving(app, "127.0.0.1", port, server_context(identity)) as bound:
        site.port = bound
        yield site
    mirrors.close()
    replications.close()


@contextmanager
def someone_in_the_middle(port: int) -> Iterator[int]:
    """Terminate TLS with a certificate of one's own and pass everything on to ``port``."""
    shown = server_context(create("someone in the middle"))
    onward = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    onward.check_hostname = False
    onward.verify_mode = ssl.CERT_NONE
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stop = threading.Event()
        thread = threading.Thread(target=_relay, args=(listener, shown, onward, port, stop), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        stop.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join(5)


def _relay(
    listener: socket.socket, shown: ssl.SSLContext, onward: ssl.SSLContext, port: int, stop: threading.Event
) -> None:
    while True:
        plain, _ = listener.accept()
        if stop.is_set():
            plain.close()
            return
        try:
            with (
                shown.wrap_socket(plain, server_side=True) as near,
                onward.wrap_socket(socket.create_connection(("127.0.0.1", port))) as far,
            ):
                _pump(near, far, stop)
        except OSError:
            continue


def _pump(near: ssl.SSLSocket, far: ssl.SSLSocket, stop: threading.Event) -> None:
    """Pass bytes both ways until one side ends; one thread, for a TLS socket is not for two."""
    other = {near: far, far: near}
    for sock in other:
        sock.settimeout(0.1)
    while not stop.is_set():
        ready = [sock for sock in other if sock.pending()] or select.select(list(other), [], [], 0.1)[0]
        for sock in ready:
            try:
                data = sock.recv(65536)
            except TimeoutError:  # a TLS record without data, such as a session ticket
                continue
            if not data:
                return
            other[sock].sendall(data)


@contextmanager
def pretender() -> Iterator[int]:
    """A server that accepts every proof, without knowing the token."""
    identity = create("pretender")

    def pair(_call: Call) -> PairReply:
        return PairReply(identity.certificate, "0" * 64, "a bearer of its own", "alpha")

    app = application((Rule("POST", "/v1/pair", pair, public=True),), authorised=lambda _bearer: True)
    with serving(app, "127.0.0.1", 0, server_context(identity)) as port:
        yield port
