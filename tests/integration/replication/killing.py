"""Running something in a child process that dies by SIGKILL at its n-th step."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

_MAKING = ("write", "pwrite", "ftruncate", "mkdir", "symlink", "mknod", "link", "copy_file_range")
_SETTING = ("rename", "unlink", "rmdir", "chown", "chmod", "utime", "setxattr", "removexattr", "fdatasync")
_OTHER = ("open", "close", "read", "pread", "listdir", "ioctl", "send")

CHANGING = frozenset(_MAKING + _SETTING)
"""The system calls that change files, by Python's names for them."""

ALL = CHANGING | frozenset(_OTHER)
"""Those, and what else a source or a target does all the time."""


def dies(action: Callable[[], object], steps: frozenset[str], step: int) -> bool:
    """Run ``action`` in a child that is killed before the call of ``steps`` number ``step``.

    Returns False when it was over before. Writes are cut into two, so that a kill may come between.
    Raises AssertionError when the action failed by itself.
    """
    pid = os.fork()
    if pid == 0:
        try:
            _halve(os, "write")
            _halve(os, "pwrite")
            sys.setprofile(_killer(steps, step))
            action()
            sys.setprofile(None)
        except BaseException:
            sys.setprofile(None)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _killer(steps: frozenset[str], step: int) -> Callable[[FrameType, str, Any], None]:
    left = step

    def profile(_frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event == "c_call" and argument.__name__ in steps:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    return profile


def _halve(module: Any, name: str) -> None:
    whole = getattr(module, name)
    setattr(module, name, lambda fd, data, *at: whole(fd, data[: max(1, len(data) // 2)], *at))
