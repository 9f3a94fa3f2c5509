"""msgspec and threads: what `described` is for."""

from __future__ import annotations

import sys

import pytest

from dtesx.base.run import run

pytestmark = pytest.mark.integration

_PROGRAM = """
import dataclasses, sys, threading
import msgspec
from dtesx.base.described import described

sys.setswitchinterval(1e-6)
names = [f"f{number}" for number in range(20)]
body = msgspec.json.encode({name: {"x": 1} for name in names})

def decode(kind, start):
    start.wait()
    msgspec.json.decode(body, type=described(kind))

for turn in range(100):
    inner = [dataclasses.make_dataclass(name.upper(), [("x", int, 0)]) for name in names]
    kind = dataclasses.make_dataclass("Outer", list(zip(names, inner)))
    start = threading.Barrier(4)
    threads = [threading.Thread(target=decode, args=(kind, start)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_threads_may_meet_a_type_together() -> None:
    run([sys.executable, "-c", _PROGRAM])
