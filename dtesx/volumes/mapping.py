"""Device nodes of logical volumes: device-mapper's, else loop devices; and what is left over disks.

The devices are made here and not by LVM, whose names for them are those of the source: two servers
with a group ``rhel`` could not be held at once. A name here is the volume's own UUID.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dtesx.base.errors import CommandFailed, Conflict
from dtesx.base.log import get_logger
from dtesx.base.run import run
from dtesx.model.layout import VolumeGroup
from dtesx.volumes import lvm
from dtesx.volumes.nodes import loop, loops_over, release_loops

log = get_logger(__name__)

_SECTOR = 512
_BLOCK = Path("/sys/class/block")
_HYPHEN = re.compile("(?<!-)-(?!-)")
_MAPPER = Path("/dev/mapper")
_OURS = "DTESX-"
# Also what udev's rules activated on their own when the disks appeared (lvmautoactivation(7)).
_REMOVABLE = (_OURS, "LVM-")


@contextmanager
def volume_nodes(group: VolumeGroup, members: Sequence[Path]) -> Iterator[dict[str, Path]]:
    """Yield a device node for each of the group's volumes, by its name; at the end they are taken down.

    Where the kernel has no device-mapper, a volume that is in one piece gets a loop device.
    Raises Conflict and CommandFailed.
    """
    found = lvm.find(group, members)
    mapped = run(["dmsetup", "version"], ok=(0, 1), hint="install dmsetup on the appliance").status == 0
    node = _mapped if mapped else _looped
    with ExitStack() as stack:
        yield {volume.name: stack.enter_context(node(found[volume.name])) for volume in group.volumes}


@contextmanager
def _mapped(volume: lvm.Found) -> Iterator[Path]:
    name = f"dtesx-{volume.uuid}"
    if (_MAPPER / name).exists():
        # Its disk was taken away beneath it, else ``release`` had seen it there.
        _remove(name)
    run(["dmsetup", "create", name, "--uuid", f"{_OURS}{volume.uuid}"], stdin=table(volume).encode())
    try:
        yield (_MAPPER / name).resolve()
    except BaseException:
        # What failed is the error to report; a volume that is still mounted cannot go.
        with suppress(CommandFailed):
            _remove(name)
        raise
    _remove(name)


def table(volume: lvm.Found) -> str:
    """The volume's device-mapper table (dmsetup(8)): start and length in sectors, target, where it lies."""
    lines, at = [], 0
    for segment in volume.segments:
        length = segment.size // _SECTOR
        lines.append(f"{at} {length} linear {segment.member} {segment.start // _SECTOR}\n")
        at += length
    return "".join(lines)


@contextmanager
def _looped(volume: lvm.Found) -> Iterator[Path]:
    if len(volume.segments) > 1:
        raise Conflict(
            f"the logical volume {volume.name} is in {len(volume.segments)} pieces, and this kernel has no "
            "device-mapper to join them",
            hint="load it (modprobe dm_mod), or run the appliance on a kernel that has it",
        )
    (segment,) = volume.segments
    with loop(segment.member, segment.start, segment.size) as node:
        yield node


def mapped_over(devices: Sequence[Path]) -> list[str]:
    """Names of the device-mapper devices over the devices or their partitions, the upper ones first."""
    waiting = [_BLOCK / device.resolve().name for device in devices]
    found: list[str] = []
    while waiting:
        block = waiting.pop(0)
        waiting += sorted(part.parent for part in block.glob(f"{block.name}*/partition"))
        for holder in sorted((block / "holders").glob("dm-*")):
            waiting.append(_BLOCK / holder.name)
            about = _BLOCK / holder.name / "dm"
            if (about / "uuid").read_text().startswith(_REMOVABLE):
                found.append((about / "name").read_text().strip())
    return list(dict.fromkeys(reversed(found)))


def group_below(directory: Path) -> str:
    """The name of the volume group that a directory's file system is on, "" when it is on none."""
    number = os.stat(directory).st_dev
    about = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/dm")
    if not about.exists() or not (about / "uuid").read_text().startswith("LVM-"):
        return ""
    # A hyphen within a name is written twice (lvm(8), VALID NAMES).
    return _HYPHEN.split((about / "name").read_text())[0].replace("--", "-")


def release_devices(devices: Sequence[Path]) -> None:
    """Take down what others left over the devices: logical volumes, and loop devices of parts of them.

    Raises CommandFailed or Conflict for what is in use.
    """
    release_mapped([*loops_over(devices), *devices])
    release_loops(devices)


def release_mapped(devices: Sequence[Path]) -> None:
    """Take down the logical volumes over the devices. Raises CommandFailed for what is in use."""
    for name in mapped_over(devices):
        log.info("left-over logical volume taken down", name=name)
        _remove(name)


def _remove(name: str) -> None:
    # --retry: udev may hold a device open for a moment after its last user is gone.
    run(
        ["dmsetup", "remove", "--retry", name],
        hint=f"something still uses it: look with dmsetup info {name} and lsof on the appliance",
    )
