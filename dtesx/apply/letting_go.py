"""Closing the last descriptor of a file without a name: the file system frees its blocks then.

For a large file that takes as long as a part of it takes to be written, and nobody has to wait for it.
"""

from __future__ import annotations

import os
import threading

_LARGE = 64 << 20

_lock = threading.Lock()
_closing: list[threading.Thread] = []


def let_go(fd: int) -> None:
    """Close a descriptor; at once, or by a thread if that takes long. Raises OSError."""
    status = os.fstat(fd)
    if status.st_nlink or status.st_size < _LARGE:
        os.close(fd)
        return
    thread = threading.Thread(target=os.close, args=(fd,), name="dtesx-close", daemon=True)
    with _lock:
        _closing[:] = [other for other in _closing if other.is_alive()]
        _closing.append(thread)
        thread.start()


def all_gone() -> bool:
    """Wait for the end of what is being closed; whether there was anything, so that there may be room now."""
    with _lock:
        closing = _closing.copy()
        _closing.clear()
    for thread in closing:
        thread.join()
    return bool(closing)
