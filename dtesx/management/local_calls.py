"""Calls of commands on this machine to a process that runs, over a socket in its state directory."""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import ConnectionFailed, DtesxError, from_code
from dtesx.base.log import get_logger

log = get_logger(__name__)

T = TypeVar("T")

Answer = Callable[[bytes], object]
"""Takes the body of a call (JSON) and returns the reply's; a DtesxError travels to the caller."""

Alone = Callable[[], AbstractContextManager[object]]
"""Holds the lock of a state directory, so that no process begins to use it."""

_SOCKET = "control"
_LIMIT = 1 << 20


class NotRunning(ConnectionFailed):
    """No process uses the state directory now."""

    code = "not-running"


class _Request(msgspec.Struct):
    call: str
    body: msgspec.Raw


class _Error(msgspec.Struct):
    code: str
    message: str
    hint: str


class _Reply(msgspec.Struct):
    body: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


@contextmanager
def answering(state: Path, answers: Mapping[str, Answer]) -> Iterator[None]:
    """Answer the calls named in ``answers``, each in a thread of its own, until the context ends.

    To be used by whoever holds the lock of the directory: the socket of one before is replaced.
    """
    with _reachable(state) as path:
        (state / _SOCKET).unlink(missing_ok=True)
        server = _Server(path, answers)
        (state / _SOCKET).chmod(0o600)
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="dtesx-local", daemon=True)
        thread.start()
        try:
            yield
        finally:
            (state / _SOCKET).unlink(missing_ok=True)
            server.shutdown()
            thread.join()
            server.server_close()


def call(state: Path, name: str, body: object, kind: type[T], *, timeout: float) -> T:
    """Call the process that uses ``state``; returns its reply as ``kind``.

    Raises NotRunning when there is none, ConnectionFailed when it does not answer within
    ``timeout`` seconds, and the DtesxError that it raised.
    """
    request = _Request(name, msgspec.Raw(msgspec.json.encode(body)))
    try:
        with _reachable(state) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout)
            sock.connect(path)
            sock.sendall(msgspec.json.encode(request))
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile("rb") as file:
                answer = file.read()
    except (FileNotFoundError, ConnectionError) as error:
        raise NotRunning(f"no process uses {state}", hint="check --state, or start it") from error
    except OSError as error:
        raise ConnectionFailed(
            f"the process that uses {state} does not answer: {error}", hint="look at its log, then try again"
        ) from error
    if not answer:
        raise NotRunning(f"the process that used {state} has ended", hint="try again")
    reply = msgspec.json.decode(answer, type=described(_Reply))
    if reply.error is not None:
        raise from_code(reply.error.code, reply.error.message, reply.error.hint)
    return msgspec.json.decode(reply.body, type=described(kind))


def ask_or(ask: Callable[[], T], alone: Alone, otherwise: Callable[[], T]) -> T:
    """What ``ask`` gets from the process that runs; where none does, what ``otherwise`` gives.

    ``alone`` holds the lock of the directory meanwhile. Raises what these raise.
    """
    try:
        return ask()
    except NotRunning:
        with alone():
            try:
                return ask()  # it was started while we waited for the lock
            except NotRunning:
                return otherwise()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, answers: Mapping[str, Answer]) -> None:
        self.answers = answers
        super().__init__(path, _Handler)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        try:
            request = msgspec.json.decode(self.rfile.read(_LIMIT), type=described(_Request))
            body = self.server.answers[request.call](bytes(request.body))
            reply = _Reply(msgspec.Raw(msgspec.json.encode(body)))
        except DtesxError as error:
            reply = _Reply(error=_Error(error.code, error.message, error.hint))
        except Exception:
            # Only commands of the same user come this far: what does not decode is another version's.
            log.error("a local call failed", exc_info=True)
            hint = "check that the command and the process are the same version; the process's log has more"
            reply = _Reply(error=_Error(DtesxError.code, "the call failed", hint))
        self.wfile.write(msgspec.json.encode(reply))


@contextmanager
def _reachable(state: Path) -> Iterator[str]:
    """The socket's path in a form that is never too long for an address (unix(7): 107 bytes)."""
    fd = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{_SOCKET}"
    finally:
        os.close(fd)
