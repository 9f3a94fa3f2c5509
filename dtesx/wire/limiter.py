"""A bandwidth limit that holds over every second: a token bucket, with the clock passed in."""

from __future__ import annotations

import time
from collections.abc import Callable

_BURST = 0.05
_FLOW = 0.92
_KERNELS = 0.01
_LEAST_PIECE = 1024
_MOST_PIECE = 16 << 10
_LEAST_BURST = 256
_PAUSE = 0.01
_RECORD = 16 << 10
_RECORD_OVERHEAD = 22  # RFC 8446 5.2: header 5, content type 1, AES-GCM tag 16


def tls_bytes(count: int) -> int:
    """What ``count`` bytes, sent at once, become on the wire as TLS 1.3 records."""
    return count + -(-count // _RECORD) * _RECORD_OVERHEAD


def tls_room(count: int) -> int:
    """How many bytes can be sent so that they are at most ``count`` on the wire."""
    return max(0, count - (count // (_RECORD + _RECORD_OVERHEAD) + 1) * _RECORD_OVERHEAD)


class Limiter:
    """Lets through at most ``rate`` bytes in any second; a rate of 0 lets everything through.

    In a second at most a full bucket and what flows into it get through, and what the kernel had taken
    before: the bucket holds 5 % of the rate, 92 % flow in, and the kernel holds about twice a ``piece``
    for each connection, 2 % in all. ``rate`` may be changed at any time, from any thread.
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._then = clock()
        self._tokens = 0.0

    @property
    def flow(self) -> int:
        """What goes through steadily, in bytes per second; 0: any number."""
        return int(self.rate * _FLOW)

    def piece(self, connections: int) -> int:
        """The most bytes that one of so many connections hands to the kernel at once."""
        return min(max(int(self.rate * _KERNELS) // connections, _LEAST_PIECE), _MOST_PIECE)

    def allowance(self) -> int | None:
        """Bytes of the wire that may be sent now; None: any number.

        It is 0 until half a bucket has flowed in, else a sender would go on and on with tiny records.
        """
        if not self.rate:
            return None
        bucket = self._fill()
        return int(self._tokens) if self._tokens >= bucket / 2 else 0

    def spend(self, count: int) -> None:
        """Note ``count`` bytes as sent. What was sent without a limit is not owed when there is one."""
        if self.rate:
            self._tokens -= count

    def charge(self, count: int) -> float:
        """Note bytes that will be sent past the limiter; returns after how many seconds they may be."""
        if not self.rate:
            return 0.0
        self._fill()
        self.spend(count)
        return count / self.flow

    def pause(self) -> float:
        """Seconds until it is worth asking again."""
        return _PAUSE

    def _fill(self) -> float:
        """Let flow in what has come since the last time; returns what the bucket holds."""
        now = self._clock()
        bucket = max(_LEAST_BURST, self.rate * _BURST)
        self._tokens = min(bucket, self._tokens + (now - self._then) * self.flow)
        self._then = now
        return bucket
