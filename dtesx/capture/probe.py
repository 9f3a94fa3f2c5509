"""Finds out what this kernel tells about changes, by trying."""

from __future__ import annotations

import os

from dtesx.base.errors import NotFound, UsageError
from dtesx.base.mountinfo import mount_id, mounts
from dtesx.capture.capture import Capture
from dtesx.capture.errors import NotWatchable
from dtesx.model.capture import CaptureProbe, CaptureReport, Rung

_BLIND = {
    Rung.RANGES: ("flags set by chattr, until something else changes",),
    Rung.EVENTS: (
        "which bytes of a file changed",
        "stores into mapped files and libaio writes of processes that we may not see, until they close them",
        "flags set by chattr, until something else changes",
    ),
    Rung.SCANS: ("everything, until the next scan",),
}


def probe(*paths: str) -> CaptureReport:
    """Try to watch each directory. Raises NotFound, UsageError."""
    return CaptureReport(os.uname().release, tuple(_probe(path) for path in paths))


def _probe(path: str) -> CaptureProbe:
    directory = _open(path)
    try:
        kind = next((m.type for m in mounts() if m.id == mount_id(directory)), "")
        with Capture() as capture:
            capture.watch(path, directory)
            rung, why = capture.rung(path), capture.why_no_ranges
    except NotWatchable as error:
        return CaptureProbe(path, kind, Rung.SCANS, error.message, error.hint, _BLIND[Rung.SCANS])
    finally:
        os.close(directory)
    reason, hint = (why.message, why.hint) if why is not None else ("", "")
    return CaptureProbe(path, kind, rung, reason, hint, _BLIND[rung])


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no directory {path}", hint="check the path") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}", hint="run dtesx as root") from error
