"""Clearing what a killed lab left: processes, mounts, loop devices, namespaces, found by the lab's name."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

from dtesx.base.log import get_logger
from dtesx.base.run import run
from dtesx.lab import loops
from dtesx.lab.network import namespaces_of, processes_in, remove_namespaces
from dtesx.lab.processes import terminate

log = get_logger(__name__)

IMAGES = ("source/disk.img", "appliance/disk.img", "datastore.img")


def lab_identity(directory: Path) -> str:
    """The name of the lab in ``directory``: the same at every start, different for each directory."""
    return sha256(os.fsencode(directory.resolve())).hexdigest()[:8]


def runtime_directory(identity: str) -> Path:
    """Where a lab's sockets are: a Unix socket's path holds 107 bytes, a lab's own may be longer."""
    return Path("/run") / f"dtesx-lab-{identity}"


def clear(directory: Path) -> tuple[str, ...]:
    """Undo everything a dead lab left in ``directory``; returns what was found, as sentences.

    Every process of a lab runs in one of its network namespaces, every mount and loop device of it
    lies below its directory: that is how they are told from everybody else's.
    """
    identity = lab_identity(directory)
    found: list[str] = []
    names = namespaces_of(identity)
    pids = sorted({pid for name in names for pid in processes_in(name)})
    if pids:
        terminate(pids)
        found.append(f"ended processes {pids}")
    mounts = mounts_below(directory.resolve(), Path("/proc/self/mountinfo").read_text())
    held = {loops.device_under(Path(where)) for where in mounts}
    for device in loops.below(directory.resolve(), loops.all_loops()):
        if device not in held and loops.free(device):  # those that are held go with their mount
            found.append(f"freed {device}")
    for where in mounts:
        run(["umount", *(["--lazy"] if Path(where) == directory.resolve() else []), where])
        found.append(f"unmounted {where}")
    if names:
        remove_namespaces(identity)
        found.append(f"removed namespaces {', '.join(names)}")
    for name in IMAGES:
        (directory / name).unlink(missing_ok=True)
    shutil.rmtree(runtime_directory(identity), ignore_errors=True)
    for sentence in found:
        log.info("leftover of a lab", did=sentence)
    return tuple(found)


def mounts_below(directory: Path, mountinfo: str) -> tuple[str, ...]:
    """Mount points at and below ``directory`` in proc(5) mountinfo, the latest mount first."""
    points = [_unescape(line.split()[4]) for line in mountinfo.splitlines() if line]
    return tuple(point for point in reversed(points) if f"{point}/".startswith(f"{directory}/"))


def _unescape(word: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, character)
    return word
