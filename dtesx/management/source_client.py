"""The source service's API as Python calls, and the pairing that precedes them."""

from __future__ import annotations

import socket

from dtesx.base.errors import ConnectionFailed, Refused
from dtesx.management.http_client import HttpClient
from dtesx.management.records import PairedServer
from dtesx.model.api import (
    MirrorStatus,
    NewBandwidth,
    NewServer,
    PairReply,
    PairRequest,
    Reach,
    Reached,
    ServerInfo,
    ServiceStatus,
    SourceReplication,
    TaskInsertion,
)
from dtesx.model.inventory import Inventory
from dtesx.model.replication import ReplicationSample
from dtesx.model.request import MirrorRequest, ReplicationRequest
from dtesx.model.tasks import TaskRequest
from dtesx.wire import pairing
from dtesx.wire.identity import fingerprint
from dtesx.wire.tls import presented_certificate

_READ_HINT = "read the current one-time token on the source, in its state directory (file `token`)"


def pair(server: NewServer, certificate: str) -> PairedServer:
    """Pair with a source by its one-time token; ``certificate`` (PEM) is the caller's own.

    Each side proves to the other that it knows the token and sees the right certificate. Raises
    Refused when the token is wrong or used or when someone is in between, ConnectionFailed when
    nothing answers.
    """
    shown = presented_certificate(server.address, server.port)
    client_fp, server_fp = fingerprint(certificate), fingerprint(shown)
    nonce = pairing.new_nonce()
    request = PairRequest(certificate, nonce, pairing.client_proof(server.token, nonce, client_fp, server_fp))
    with _client(server.name, server.address, server.port, shown, "") as http:
        reply = http.call("POST", "/v1/pair", PairReply, request)
    expected = pairing.server_proof(server.token, nonce, client_fp, server_fp)
    if not pairing.matches(reply.proof, expected) or fingerprint(reply.certificate) != server_fp:
        raise Refused(
            f"{server.address}:{server.port} could not prove that it is the server of this token",
            hint="check the address; if it is right, someone is in between: do not go on. " + _READ_HINT,
        )
    info = ServerInfo(server.name, server.address, server.port, reply.hostname, server_fp)
    return PairedServer(info, shown, pairing.bearer(server.token, nonce, client_fp, server_fp))


class SourceClient:
    """The source service of one paired server; implements recovery's port ``Source``."""

    def __init__(self, server: PairedServer, *, timeout: float = 60.0) -> None:
        self._server, self._timeout = server, timeout
        self._http = self._connection()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _connection(self) -> HttpClient:
        info, server = self._server.info, self._server
        return _client(
            info.name, info.address, info.port, server.certificate, server.bearer, timeout=self._timeout
        )

    @property
    def certificate(self) -> str:
        return self._server.certificate

    def service(self) -> ServiceStatus:
        return self._http.call("GET", "/v1/status", ServiceStatus)

    def answers(self) -> bool:
        # By a connection of its own: over one that was there before, a machine that is gone is waited for.
        try:
            with self._connection() as http:
                http.call("GET", "/v1/status", ServiceStatus)
        except ConnectionFailed:
            return False
        return True

    def reaches(self, address: str, port: int) -> str:
        return self._http.call("POST", "/v1/reach", Reached, Reach(address, port)).reason

    def inventory(self) -> Inventory:
        return self._http.call("GET", "/v1/inventory", Inventory)

    def start_mirror(self, request: MirrorRequest) -> MirrorStatus:
        return self._http.call("POST", "/v1/mirrors", MirrorStatus, request)

    def mirror_status(self, job: str) -> MirrorStatus:
        return self._http.call("GET", f"/v1/mirrors/{job}", MirrorStatus)

    def stop_mirror(self, job: str) -> None:
        self._http.send("DELETE", f"/v1/mirrors/{job}")

    def pause_mirror(self, job: str) -> None:
        self._http.send("POST", f"/v1/mirrors/{job}/pause")

    def resume_mirror(self, job: str) -> None:
        self._http.send("POST", f"/v1/mirrors/{job}/resume")

    def limit_mirror(self, job: str, bandwidth: int | None) -> None:
        self._http.send("POST", f"/v1/mirrors/{job}/bandwidth", NewBandwidth(bandwidth))

    def start_replication(self, request: ReplicationRequest) -> SourceReplication:
        return self._http.call("POST", "/v1/replications", SourceReplication, request)

    def replication(self, job: str) -> SourceReplication:
        return self._http.call("GET", f"/v1/replications/{job}", SourceReplication)

    def stop_replication(self, job: str) -> None:
        self._http.send("DELETE", f"/v1/replications/{job}")

    def forget_replication(self, job: str) -> None:
        self._http.send("DELETE", f"/v1/replications/{job}/history")

    def replication_history(self, job: str, since: float) -> tuple[ReplicationSample, ...]:
        path = f"/v1/replications/{job}/history?since={since}"
        return self._http.call("GET", path, tuple[ReplicationSample, ...])

    def insert_task(self, job: str, request: TaskRequest) -> TaskInsertion:
        return self._http.call("POST", f"/v1/replications/{job}/tasks", TaskInsertion, request)

    def task(self, job: str, number: str) -> TaskInsertion:
        return self._http.call("GET", f"/v1/replications/{job}/tasks/{number}", TaskInsertion)

    def shut_down(self) -> None:
        self._http.send("POST", "/v1/shutdown")

    def local_address(self) -> str:
        info = self._server.info
        try:
            with socket.create_connection((info.address, info.port), timeout=10) as connection:
                return str(connection.getsockname()[0])
        except OSError as error:
            raise ConnectionFailed(
                f"the source at {info.address}:{info.port} cannot be reached: {error}",
                hint="check that the server is up and that the source service runs there",
            ) from error


def _client(
    name: str, address: str, port: int, certificate: str, bearer: str, *, timeout: float = 60.0
) -> HttpClient:
    return HttpClient(
        address,
        port,
        certificate,
        what=f"the source service of {name}",
        away_hint="check that the server is up, that the source service runs there, "
        "and that no firewall blocks the port",
        changed_hint=f"if {name} was set up anew, remove it and add it again; if not, someone is in between",
        refused_hint=f"remove {name} and add it again with its current one-time token",
        bearer=bearer,
        timeout=timeout,
    )
