"""One connection as frames: a blocking face over a non-blocking socket, for one thread.

A send that has to wait reads what arrives meanwhile, so two ends that both send never block each
other for good. OpenSSL forbids two threads on one connection, hence the single-threaded pump.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence

from dtesx.base.errors import ConnectionFailed, DtesxError, Refused
from dtesx.wire import messages
from dtesx.wire.frames import Decoder, Encoder, Frame
from dtesx.wire.messages import Message

TICK = 0.2
"""Seconds between two calls of ``tick`` while waiting."""

_SLICE = 256 << 10
_STALL = 300.0
_INBOX = 64 << 20
_WAIT_READ = (ssl.SSLWantReadError, BlockingIOError)
_HINT = "the mirror can be started again; it goes on where it stopped"


def tune(sock: socket.socket) -> None:
    """Notice a dead peer within about 40 s, and send small frames at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 40_000)


class Channel:
    """Frames over ``sock`` (plain or TLS, connected). ``tick`` is called while waiting and may raise.

    It may be replaced at any time: who lets a source in waits otherwise than who serves it.

    Every method raises ConnectionFailed when the connection is gone and ProtocolError when the
    peer sends garbage. ``sent`` and ``received`` count bytes before TLS.
    """

    def __init__(self, sock: socket.socket, *, tick: Callable[[], None] = lambda: None) -> None:
        sock.setblocking(False)
        self.sent = 0
        self.received = 0
        self._sock = sock
        self.tick = tick
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._inbox: deque[Frame] = deque()
        self._inbox_bytes = 0
        self._poll = select.poll()

    def send(self, message: Message, blob: Sequence[bytes | memoryview] = ()) -> tuple[int, int]:
        """Send a message; returns the frame's sequence number and its size in bytes."""
        kind, table = messages.encode(message)
        data = self._encoder.encode(kind, table, blob)
        view = memoryview(data)
        moved = time.monotonic()
        while view:
            count = self._write(view[:_SLICE])
            if count:
                view = view[count:]
                moved = time.monotonic()
            elif time.monotonic() - moved > _STALL:
                raise ConnectionFailed(f"the peer took nothing for {_STALL:.0f} s", hint=_HINT)
        self.sent += len(data)
        return self._encoder.sequence, len(data)

    def receive(self) -> Frame:
        """The next frame, waiting for it as long as the peer is alive."""
        while (frame := self.poll()) is None:
            self._wait(select.POLLIN)
        return frame

    def poll(self, wait: float = 0.0) -> Frame | None:
        """The next frame if it is there, or arrives within ``wait`` seconds (at most one tick)."""
        if not self._inbox:
            self._read()
        if not self._inbox and wait:
            self._wait(select.POLLIN, wait)
            self._read()
        if not self._inbox:
            return None
        frame = self._inbox.popleft()
        self._inbox_bytes -= frame.size
        return frame

    def gather(self, seconds: float) -> None:
        """Take in what arrives for so long, to be polled later; notices a peer that leaves."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._wait(select.POLLIN if self._inbox_bytes < _INBOX else 0, left):
                self._read()

    def _write(self, piece: memoryview) -> int:
        """Send some of ``piece``; 0 means: call again with the same piece (OpenSSL insists on it)."""
        try:
            return self._sock.send(piece)
        except ssl.SSLWantReadError:
            self._wait(select.POLLIN)
        except (ssl.SSLWantWriteError, BlockingIOError):
            events = select.POLLOUT
            if self._inbox_bytes < _INBOX:
                events |= select.POLLIN
            if self._wait(events) & select.POLLIN:
                self._read()
        except OSError as error:
            # The peer may have said why before it closed: let the caller find that in poll().
            with contextlib.suppress(DtesxError):
                self._read()
            raise _broken(error) from error
        return 0

    def _read(self) -> None:
        """Take what has arrived, up to one complete frame."""
        frame = None
        while frame is None:
            try:
                count = self._sock.recv_into(self._decoder.buffer())
            except (*_WAIT_READ, ssl.SSLWantWriteError):
                return
            except OSError as error:
                raise _broken(error) from error
            if not count:
                raise ConnectionFailed("the peer closed the connection", hint=_HINT)
            self.received += count
            frame = self._decoder.advance(count)
        self._inbox.append(frame)
        self._inbox_bytes += frame.size

    def _wait(self, events: int, seconds: float = TICK) -> int:
        self.tick()
        self._poll.register(self._sock, events)
        ready = self._poll.poll(1000 * min(seconds, TICK))
        return ready[0][1] if ready else 0

    def linger(self, seconds: float) -> None:
        """Stop sending and swallow what still arrives, so that our last frame is not lost to a reset."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
            while time.monotonic() < deadline:
                self._poll.register(self._sock, select.POLLIN)
                if self._poll.poll(1000 * TICK) and not self._swallow():
                    return

    def _swallow(self) -> bool:
        try:
            return bool(self._sock.recv(_SLICE))
        except (*_WAIT_READ, ssl.SSLWantWriteError):
            return True

    def close(self) -> None:
        """Close the connection at once."""
        self._sock.close()


def _broken(error: OSError) -> DtesxError:
    # In TLS 1.3 a peer turns our certificate down only after our handshake is over.
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return Refused(
            f"the peer does not accept our certificate ({error.reason})",
            hint="pair the two again: `dtesx server add` for a job, else --token-file FILE",
        )
    return ConnectionFailed(f"the connection broke: {error}", hint=_HINT)
