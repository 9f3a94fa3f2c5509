"""What the tests of volumes do in the guest: ``python3 -m tests.vm.holding WHAT LAYOUT WHERE UUIDS``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from dtesx.model.layout import Layout
from dtesx.volumes.disks import find_disk
from dtesx.volumes.mapping import mapped_over
from dtesx.volumes.mounts import mounted_layout, mounts_below, release
from dtesx.volumes.prepare import prepare_disks

_CHANGES = ("create", "remove")
LAST = Path("/run/last-change")
"""Has the change after which a process was killed."""


class Replica:
    """A layout on the guest's disks."""

    def __init__(self, layout: str, where: str, uuids: str) -> None:
        self.layout = msgspec.json.decode(layout.encode(), type=Layout)
        self.where = Path(where)
        self.devices = [find_disk(uuid) for uuid in uuids.split(",")]

    def prepare(self) -> None:
        """Make everything."""
        prepare_disks(self.layout, self.devices)

    def clear(self) -> None:
        """Take down what is there."""
        release(self.where, self.devices)

    def hold(self) -> None:
        """Mount the tree and unmount it."""
        with mounted_layout(self.layout, self.devices, self.where, nested=True) as mounted:
            (mounted["/"] / "there").touch()

    def is_free(self) -> bool:
        """Whether nothing uses the disks."""
        return not mounts_below(self.where) and not mapped_over(self.devices)


def fill(replica: Replica) -> None:
    """Write a file to each file system; print what each is."""
    seen = {}
    with mounted_layout(replica.layout, replica.devices, replica.where, nested=False) as mounted:
        for place, directory in mounted.items():
            (directory / "kept").write_text(place)
            told = ["findmnt", "-no", "FSTYPE", str(directory)]
            seen[place] = subprocess.run(told, capture_output=True, check=True, text=True).stdout.strip()
    print(json.dumps(seen))


def read(replica: Replica) -> None:
    """Print the places whose file is there in the whole tree."""
    with mounted_layout(replica.layout, replica.devices, replica.where, nested=True) as mounted:
        print(
            json.dumps(sorted(place for place, at in mounted.items() if (at / "kept").read_text() == place))
        )


def beside(replica: Replica, *other: str) -> None:
    """Hold two replicas at once."""
    second = Replica(*other)
    with (
        mounted_layout(replica.layout, replica.devices, replica.where, nested=True) as mine,
        mounted_layout(second.layout, second.devices, second.where, nested=True) as theirs,
    ):
        (mine["/"] / "mine").touch()
        assert not (theirs["/"] / "mine").exists()


def die(replica: Replica) -> None:
    """Be killed while the tree is mounted."""
    with mounted_layout(replica.layout, replica.devices, replica.where, nested=True):
        os.kill(os.getpid(), signal.SIGKILL)


def crash(replica: Replica) -> None:
    """Kill a process after each change of device-mapper's; the next one must get along with that.

    Prints these changes.
    """
    steps: dict[str, list[str]] = {}
    for name, action in (("prepare", replica.prepare), ("hold", replica.hold)):
        steps[name], killed = [], True
        while killed:
            killed = _killed_after(len(steps[name]) + 1, action)
            if killed:
                steps[name].append(LAST.read_text())
            action()
            assert replica.is_free(), steps
    print(json.dumps(steps))


def _killed_after(step: int, action: Callable[[], None]) -> bool:
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    try:
        subprocess.run = partial(_counted, subprocess.run, step, [0])  # type: ignore[assignment]
        action()
    finally:
        os._exit(0)


def _counted(
    real: Callable[..., object], step: int, done: list[int], argv: list[str], **rest: object
) -> object:
    ended = real(argv, **rest)
    if argv[0] == "dmsetup" and argv[1] in _CHANGES:
        done[0] += 1
        if done[0] == step:
            LAST.write_text(argv[1])
            os.kill(os.getpid(), signal.SIGKILL)
    return ended


_ALONE = {"prepare": Replica.prepare, "clear": Replica.clear, "hold": Replica.hold}
_MORE: dict[str, Callable[..., None]] = {
    "fill": fill,
    "read": read,
    "beside": beside,
    "crash": crash,
    "die": die,
}

if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what in _ALONE:
        _ALONE[what](Replica(*rest))
    else:
        _MORE[what](Replica(*rest[:3]), *rest[3:])
