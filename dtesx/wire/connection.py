"""One socket as frames: it never blocks and knows nothing of streams."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable

from dtesx.base.errors import ConnectionFailed, DtesxError, Refused
from dtesx.wire import messages
from dtesx.wire.frames import Decoder, Encoded, Frame, encode
from dtesx.wire.limiter import Limiter, tls_bytes, tls_room
from dtesx.wire.messages import Message
from dtesx.wire.parts import FilePart
from dtesx.wire.piping import Pipes

_SLICE = 256 << 10
_PAUSE = 0.2
_NO_LIMIT = Limiter(0)
_SO_MAX_PACING_RATE = 47  # asm-generic/socket.h; unlike Linux, Python does not name it
_UNPACED = (1 << 32) - 1
_HINT = "the mirror can be started again; it goes on where it stopped"


class Connection:
    """Frames over ``sock`` (plain or TLS, connected); for one thread at a time, as OpenSSL wants it.

    Every method raises ConnectionFailed when the connection is gone, Refused when the peer does not
    take our certificate and ProtocolError when it sends garbage. ``sent`` and ``received`` count
    bytes before TLS.
    """

    def __init__(self, sock: socket.socket, limiter: Limiter = _NO_LIMIT) -> None:
        sock.setblocking(False)
        self.sent = 0
        self.received = 0
        self.limiter = limiter
        self._sock = sock
        self._secured = isinstance(sock, ssl.SSLSocket)
        self._decoder = Decoder(None if self._secured else Pipes())
        self._own: deque[Encoded] = deque()
        self._parts: Encoded = ()
        self._at = 0  # of the first of them
        self._copied: FilePart | None = None
        self._slice = memoryview(b"")
        self._view = memoryview(b"")
        self._retry = 0
        self._blocked = 0
        self._paced = 0
        self._most = _SLICE

    def fileno(self) -> int:
        """The descriptor, for poll(2)."""
        return self._sock.fileno()

    @property
    def events(self) -> int:
        """What to wait for (poll(2)) before it is worth writing again; always readable, too."""
        return select.POLLIN | self._blocked

    @property
    def owing(self) -> bool:
        """Whether a message of the connection itself is not on its way yet."""
        return bool(self._own)

    @property
    def busy(self) -> bool:
        """Whether something begun or queued is not on its way yet."""
        return bool(self._view) or bool(self._parts) or bool(self._own)

    def begin(self) -> None:
        """The greeting is over: take the frames of a stream, too."""
        self._decoder.greeted = True

    def queue(self, message: Message) -> None:
        """Send a message of the connection itself before the next frame of a stream."""
        kind, table = messages.encode(message)
        self._own.append(encode(kind, 0, table)[0])

    def write(self, following: Callable[[], Encoded | None] = lambda: None) -> None:
        """Send what is queued, then the frames that ``following`` gives, until the socket is full."""
        while self._view or self._load(following):
            if not self._push():
                return
        self._blocked = 0

    def _load(self, following: Callable[[], Encoded | None]) -> bool:
        """Have the next bytes in view, or a part of a file to be sent without; False when there are none."""
        if not self._parts:
            parts = self._own.popleft() if self._own else following()
            if parts is None:
                return False
            self._parts = parts
        part = self._parts[0]
        if not isinstance(part, FilePart):
            self._view = memoryview(part)
            self._passed(len(part))
        elif self._secured or not part.straight or part is self._copied:
            self._view = self._read(part)
            self._passed(len(self._view))
        return True

    def _passed(self, count: int) -> None:
        self._at += count
        if self._at == len(self._parts[0]):
            self._parts, self._at, self._copied = self._parts[1:], 0, None

    def _read(self, part: FilePart) -> memoryview:
        # One small buffer for all: what was read is still in the processor's cache when it is sent.
        if not self._slice:
            self._slice = memoryview(bytearray(_SLICE))
        piece = self._slice[: len(part) - self._at]
        part.read(piece, self._at)
        return piece

    def _push(self) -> bool:
        size = self._retry or self._piece()
        if not size:
            self._blocked = 0
            return False
        try:
            count = self._send(self._view[:size]) if self._view else self._send_file(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError) as reason:
            # OpenSSL wants the same piece again.
            self._retry = size
            self._blocked = 0 if isinstance(reason, ssl.SSLWantReadError) else select.POLLOUT
            return False
        except OSError as error:
            raise _broken(error) from error
        self._retry = 0
        self.sent += count
        self.limiter.spend(tls_bytes(count) if self._secured else count)
        self._view = self._view[count:]
        return True

    def _send(self, view: memoryview) -> int:
        if self._secured:
            return self._sock.send(view)
        # Before a file's pages the header waits for them: the peer need not wake up for it alone.
        more = bool(self._parts) and len(view) == len(self._view)
        return self._sock.send(view, socket.MSG_MORE if more else 0)

    def _send_file(self, size: int) -> int:
        part = self._parts[0]
        assert isinstance(part, FilePart)
        count = part.send(self._sock.fileno(), self._at, size)
        if not count:
            self._copied = part
        self._passed(count)
        return count

    def _piece(self) -> int:
        allowance = self.limiter.allowance()
        if allowance is None:
            return _SLICE if self._view else len(self._parts[0])
        if self._secured:
            allowance = tls_room(allowance)
        return min(allowance, self._most)

    def pace(self, rate: int, piece: int) -> None:
        """Have the kernel send at most ``rate`` bytes a second, and take at most about two pieces ahead.

        It would take much while the link stands still, and send it at once afterwards. A rate of 0 is
        no limit.
        """
        most = piece if rate else _SLICE
        if (rate, most) != (self._paced, self._most):
            self._paced, self._most = rate, most
            limit = struct.pack("I", min(rate or _UNPACED, _UNPACED))
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, limit)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, piece if rate else 0)

    def read(self) -> Frame | None:
        """The next frame, if it has arrived."""
        while True:
            try:
                piped = self._decoder.piped
                if piped is None:
                    count = self._sock.recv_into(self._decoder.buffer())
                else:
                    count = piped.fill(self._sock.fileno())
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                return None
            except OSError as error:
                raise _broken(error) from error
            if not count:
                raise ConnectionFailed("the peer closed the connection", hint=_HINT)
            self.received += count
            frame = self._decoder.advance(count)
            if frame is not None:
                return frame

    def end(self) -> None:
        """Tell the peer that nothing more will be sent."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def swallow(self) -> bool:
        """Read and forget what has arrived; False when the peer has closed."""
        try:
            return bool(self._sock.recv(_SLICE))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return True
        except OSError:
            return False

    def linger(self, seconds: float) -> None:
        """Send what is queued and swallow what still arrives, so that no reset loses our last frame."""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        while self.busy and time.monotonic() < deadline:
            self.write()
            poll.register(self, self.events)
            if self.busy:
                poll.poll(1000 * _PAUSE)
        self.end()
        poll.register(self, select.POLLIN)
        while time.monotonic() < deadline and (not poll.poll(1000 * _PAUSE) or self.swallow()):
            pass

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
