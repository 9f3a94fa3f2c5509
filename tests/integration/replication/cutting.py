"""A link that breaks when a test wants it to."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress


class Cut:
    """Forwards connections to a port until all are cut.

    With ``stall`` (bytes, seconds) it reads nothing for a while after so many bytes, and has room for
    little meanwhile.
    """

    def __init__(self, port: int, *, stall: tuple[int, float] | None = None) -> None:
        self._target = port
        self._stall = stall
        self._listener = socket.create_server(("127.0.0.1", 0))
        if stall is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.passed = self.cuts = 0
        self._end: int | None = None

    def __enter__(self) -> Cut:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self.all()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def all(self) -> None:
        """Cut what is connected."""
        while self._ends:
            with suppress(OSError):
                self._ends.pop().shutdown(socket.SHUT_RDWR)

    def after(self, count: int | None) -> None:
        """Count what passes from now on, both ways, and cut all after so many bytes, once."""
        self.passed, self._end = 0, count

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # nobody is there
                near.close()
                continue
            self._ends += near, far
            for ends in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pump, args=ends)
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(65536):
                if self._end is not None and self.passed + len(data) > self._end:
                    sink.sendall(data[: max(0, self._end - self.passed)])
                    self._end = None
                    self.cuts += 1
                    self.all()
                    break
                sink.sendall(data)
                passed += len(data)
                self.passed += len(data)
                if self._stall is not None and passed >= self._stall[0]:
                    time.sleep(self._stall[1])
                    self._stall = None
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
