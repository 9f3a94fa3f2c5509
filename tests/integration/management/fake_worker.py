"""A target worker without disks: keeps the lock and the report, behaves as the file ``mode`` says."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
from pathlib import Path


def main(directory: Path) -> int:
    mode = (directory / "mode").read_text() if (directory / "mode").exists() else ""
    stop = threading.Event()
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if mode == "crash":
        print("no such disk, says the worker's log", flush=True)
        return 7
    fd = os.open(directory / "worker.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def report(phase: str, **more: str) -> None:
        temporary = directory / ".status"
        temporary.write_text(json.dumps({"phase": phase, "pid": os.getpid(), "port": 1500, **more}))
        temporary.rename(directory / "status.json")

    report("starting")
    if mode == "failed":
        report("failed", code="target-full", message="no space for the replica", hint="make some")
        return 9
    if mode != "silent":
        report("listening")
    stop.wait(60)
    report("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[-1])))
