"""Entering network namespaces from Python: a thread that enters one keeps it to itself."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

RUN_NETNS = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def enter_network(name: str) -> None:
    """Move the calling thread into the named network namespace, for the rest of its life.

    Only for threads made for that purpose: setns(2) works per thread, so the rest of the process
    stays where it is. Raises OSError when the namespace is gone.
    """
    fd = os.open(RUN_NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(fd, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot enter network namespace {name}: {os.strerror(code)}")
    finally:
        os.close(fd)


def call_inside(name: str, action: Callable[[], T]) -> T:
    """Run ``action`` in a thread of its own inside the named network namespace.

    Sockets made there stay in that namespace wherever they are used. What ``action`` raises is
    raised here.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            enter_network(name)
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, name=f"in-{name}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def inside(name: str) -> tuple[str, ...]:
    """The argv prefix that runs a program in the named network namespace, mounts untouched."""
    return ("nsenter", f"--net={RUN_NETNS / name}", "--")
