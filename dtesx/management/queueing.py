"""What waits at the places of a target on this machine: shown, applied or discarded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from dtesx.base.described import described
from dtesx.management import local_calls
from dtesx.model.epoch import QueueOrder, TargetQueue
from dtesx.replication.orders import WAIT

_CALL = "queue"
_ANSWER = 10.0


def answers(obey: Callable[[QueueOrder], TargetQueue]) -> Mapping[str, local_calls.Answer]:
    """The call by which a target that runs is told what to do with what waits."""
    return {_CALL: lambda body: obey(msgspec.json.decode(body, type=described(QueueOrder)))}


def order(
    state: Path,
    order: QueueOrder,
    alone: Callable[[], AbstractContextManager[object]],
    otherwise: Callable[[], TargetQueue],
) -> TargetQueue:
    """Have a target deal with what waits; ``otherwise`` does where no process runs.

    ``alone`` holds the lock of the directory ``state``. Raises DtesxError.
    """

    def ask() -> TargetQueue:
        return local_calls.call(state, _CALL, order, TargetQueue, timeout=WAIT + _ANSWER)

    return local_calls.ask_or(ask, alone, otherwise)
