"""Orders about the epochs of a place: done by the session that has it, or else by who gives them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress

from dtesx.base.errors import Conflict, ConnectionFailed, Interrupted
from dtesx.model.epoch import QueueOrder, TargetQueue

WAIT = 600.0
"""Seconds that an order may take while a session carries it out."""


class Orders:
    """One for each place, for any threads: so that one at a time works with its epochs."""

    def __init__(self) -> None:
        self._taken = threading.Lock()
        self._changing = threading.Lock()
        self._wake: Callable[[], None] | None = None
        self._missed: Callable[[], None] | None = None
        self._later: threading.Thread | None = None
        self._orders: deque[tuple[QueueOrder, Future[TargetQueue]]] = deque()

    @contextmanager
    def held(self, wake: Callable[[], None]) -> Iterator[None]:
        """A session has the place, and calls ``serve`` often; ``wake`` makes it do so soon."""
        try:
            with self._having(wake):
                yield
        finally:
            self._make_up()

    @contextmanager
    def _having(self, wake: Callable[[], None]) -> Iterator[None]:
        with self._taken:
            with self._changing:
                self._wake = wake
            try:
                yield
            finally:
                with self._changing:
                    self._wake = None
                    while self._orders:
                        gone = Conflict("the source left meanwhile", hint="give the same command again")
                        self._orders.popleft()[1].set_exception(gone)

    def serve(self, obey: Callable[[QueueOrder], TargetQueue]) -> None:
        """Carry out what was ordered meanwhile."""
        while self._orders:
            order, answer = self._orders.popleft()
            try:
                answer.set_result(obey(order))
            except BaseException as error:
                answer.set_exception(error)
                if not isinstance(error, Exception):
                    raise

    def unless_held(self, action: Callable[[], None]) -> None:
        """Do something with the epochs, unless a session has them; when it leaves then, in a thread."""
        if not self._taken.acquire(blocking=False):
            with self._changing:
                self._missed = action
            if not self._taken.acquire(blocking=False):
                return
        try:
            action()
        finally:
            self._taken.release()

    def _make_up(self) -> None:
        """A session that was leaving did not do any more what it was taken to do."""

        def act(action: Callable[[], None]) -> None:
            with suppress(Interrupted):
                self.unless_held(action)

        with self._changing:
            action, self._missed = self._missed, None
        if action is not None:
            self._later = threading.Thread(target=act, args=(action,), name="dtesx-queue", daemon=True)
            self._later.start()

    def at_last(self, action: Callable[[], None]) -> None:
        """Do something with the epochs when all who had them have left, and no session can come any more."""
        if self._later is not None:
            self._later.join()
        with self._taken:
            action()

    def order(self, order: QueueOrder, otherwise: Callable[[QueueOrder], TargetQueue]) -> TargetQueue:
        """Have an order carried out, by ``otherwise`` where no session is.

        Raises what it raises, and ConnectionFailed when that takes too long.
        """
        with self._changing:
            wake, answer = self._wake, Future[TargetQueue]()
            if wake is not None:
                self._orders.append((order, answer))
                wake()
        if wake is None:
            with self._taken:
                return otherwise(order)
        try:
            return answer.result(WAIT)
        except TimeoutError as error:
            raise ConnectionFailed(
                f"the queue was not dealt with within {WAIT:.0f} seconds", hint="look at the target's log"
            ) from error
