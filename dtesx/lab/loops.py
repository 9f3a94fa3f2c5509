"""Loop devices of a lab: those over its files, and those that a machine stacked on them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.retry import wait_until
from dtesx.base.run import run

_FREE_SECONDS = 5.0


@dataclass(frozen=True)
class Loop:
    """A loop device and the path of what it is set up over."""

    device: Path
    backing: str


def all_loops() -> tuple[Loop, ...]:
    """Every loop device of the host that is set up."""
    text = run(["losetup", "--json", "--list", "--output", "NAME,BACK-FILE"]).text
    devices = json.loads(text)["loopdevices"] if text.strip() else []
    return tuple(Loop(Path(d["name"]), d["back-file"] or "") for d in devices)


def below(directory: Path, loops: Iterable[Loop]) -> tuple[Path, ...]:
    """The devices over files in ``directory``, each after those that are stacked on it."""
    known = tuple(loops)
    prefix = f"{directory}/"
    found: list[Path] = []
    for loop in known:
        if loop.backing.startswith(prefix):
            found += [*stacked_on(loop.device, known), loop.device]
    return tuple(found)


def stacked_on(device: Path, loops: Iterable[Loop]) -> tuple[Path, ...]:
    """The devices over ``device``, such as its partitions, topmost first."""
    known = tuple(loops)
    found: list[Path] = []
    for loop in known:
        if loop.backing == str(device):
            found += [*stacked_on(loop.device, known), loop.device]
    return tuple(found)


def is_set_up(device: Path) -> bool:
    """Whether a loop device is over anything now."""
    return _attribute(device, "backing_file").exists()


def is_going(device: Path) -> bool:
    """Whether it goes away with its last user, because it was detached while in use."""
    try:
        return _attribute(device, "autoclear").read_text().strip() == "1"
    except FileNotFoundError:
        return True


def free(device: Path) -> bool:
    """Detach a loop device; False when somebody still has it open: it then goes with its last user."""
    if is_set_up(device):
        run(["losetup", "--detach", str(device)], ok=(0, 1))  # 1: it went away by itself meanwhile
    return wait_until(lambda: not is_set_up(device), timeout=_FREE_SECONDS, interval=0.05)


def _attribute(device: Path, name: str) -> Path:
    return Path("/sys/block") / device.name / "loop" / name
