"""An HTTPS server in a thread."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from dtesx.base.errors import Conflict, DtesxError
from dtesx.base.log import get_logger

log = get_logger(__name__)

_START_SECONDS = 20.0
_STOP_SECONDS = 3
_IDLE_SECONDS = 15


@contextmanager
def serving(app: Starlette, address: str, port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Serve ``app`` over HTTPS while the context lasts; yields the port (useful for port 0).

    Requests that run when the context ends get a few seconds to finish. Raises Conflict when the
    address cannot be listened on.
    """
    with _listener(address, port) as listener:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        config.load()
        config.ssl = context  # uvicorn itself only takes files; the key is to stay where it is
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="https", daemon=True
        )
        thread.start()
        _await_start(server, thread)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(2 * _STOP_SECONDS)
            if thread.is_alive():
                log.warning("requests still run while the service ends")


def _listener(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=128)
    except OSError as error:
        raise Conflict(
            f"cannot listen on {address} port {port}: {error.strerror}",
            hint="check the address; `ss -ltnp` shows which program has the port",
        ) from error


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            server.should_exit = True
            raise DtesxError("the HTTPS server did not start", hint="look at the service's log")
        time.sleep(0.01)
