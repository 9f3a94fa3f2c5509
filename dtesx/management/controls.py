"""What commands on this machine have a replication do while it runs: pause, go on, end, mirror, be slower."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import Conflict
from dtesx.base.locks import exclusive
from dtesx.management import local_calls
from dtesx.model.api import NewBandwidth
from dtesx.replication.control import MirrorControl

LOCK = "lock"
"""The file of a replication's directory that is locked while it runs."""

_ANSWER = 10.0
_END = 30.0
_POLL = 0.1


class Order(StrEnum):
    """The calls by which a replication is told."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    MIRROR = "mirror"
    LIMIT = "limit"


def answers(control: MirrorControl, mirror: Callable[[], None]) -> Mapping[str, local_calls.Answer]:
    """The calls by which commands steer a replication; ``mirror`` has it mirror all of its roots."""

    def limit(body: bytes) -> None:
        control.bandwidth = msgspec.json.decode(body, type=described(NewBandwidth)).bandwidth

    return {
        Order.PAUSE: lambda _body: control.pause(),
        Order.RESUME: lambda _body: control.resume(),
        Order.STOP: lambda _body: control.stop(),
        Order.MIRROR: lambda _body: mirror(),
        Order.LIMIT: limit,
    }


def refusals() -> Mapping[str, local_calls.Answer]:
    """The same calls where an appliance decides: it would have its way again within seconds."""

    def refuse(_body: bytes) -> None:
        raise Conflict(
            "this replication is a job's, which its appliance steers",
            hint="use dtesx job pause, resume, stop, mirror or bandwidth",
        )

    return dict.fromkeys(Order, refuse)


def give(directory: Path, order: Order) -> None:
    """Give an order to the replication that uses ``directory``; it is followed soon.

    Raises NotRunning, and Conflict when the replication is a job's.
    """
    local_calls.call(directory, order, None, type(None), timeout=_ANSWER)


def limit(directory: Path, bandwidth: int | None) -> None:
    """Have a limit hold (NewBandwidth); raises what ``give`` does."""
    local_calls.call(directory, Order.LIMIT, NewBandwidth(bandwidth), type(None), timeout=_ANSWER)


def stop(directory: Path, *, seconds: float = _END) -> None:
    """End the replication that uses ``directory``, and wait for it; raises what ``give`` does.

    Raises Conflict when it takes longer than ``seconds``.
    """
    give(directory, Order.STOP)
    slow = Conflict("the replication has not ended yet", hint="it does when the target answers; look again")
    deadline = time.monotonic() + seconds
    while True:
        try:
            with exclusive(directory / LOCK, slow):
                return
        except Conflict:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL)
