"""Configuration of what a replica's disks do not have: encryption, RAID, the source's physical volumes.

Whatever waits for such a device waits in vain, so its lines are commented out (crypttab(5), mdadm.conf(5),
lvmdevices(8)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dtesx.boot.devices import Volume, find
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree

OFF = "# not on this machine (dtesx): "
CRYPTTAB = "/etc/crypttab"
LVM_LOCAL = "etc/lvm/lvmlocal.conf"
LVM_DEVICES = "etc/lvm/devices/system.devices"

_ARRAYS = ("/etc/mdadm/mdadm.conf", "/etc/mdadm.conf")
_DEVICE_MAPS = ("/boot/grub/device.map", "/boot/grub2/device.map")
_DEVICES = ("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=")
_EVERYWHERE = ("/dev/urandom", "/dev/random", "/dev/zero", "/dev/ram", "/dev/loop")
_ALL_DEVICES = "# Written by dtesx: the physical volumes are on other disks than the source's.\n"
_ALL_DEVICES += "devices { use_devicesfile = 0 }\n"


def fix(replica: Replica) -> Sequence[str]:
    """Comment out encryption and arrays, let LVM see the new disks; say what was changed."""
    tree = replica.tree
    changes = []
    old = tree.text(CRYPTTAB)
    new = without_lost(old, replica.volumes, field=1)
    if tree.is_file(CRYPTTAB) and tree.write(CRYPTTAB, new):
        changes.append(f"{CRYPTTAB}: what was encrypted on the source is not on the replica")
    for path in _ARRAYS:
        if tree.is_file(path) and tree.write(path, without_arrays(tree.text(path))):
            changes.append(f"{path}: the source's arrays are not on the replica")
    if tree.is_file(f"/{LVM_DEVICES}") and tree.write(f"/{LVM_LOCAL}", lvm_local(tree.text(f"/{LVM_LOCAL}"))):
        changes.append(f"/{LVM_LOCAL}: LVM looks at all disks, not at those of the source alone")
    return [*changes, *_fix_device_maps(tree)]


def _fix_device_maps(tree: Tree) -> list[str]:
    """GRUB's tools need no device.map, and stop at one that names disks which are not there."""
    return [
        f"{path}: the source's disks are commented out"
        for path in _DEVICE_MAPS
        if tree.is_file(path) and tree.write(path, _off(tree.text(path), lambda line: "/dev/" in line))
    ]


def without_lost(text: str, volumes: Sequence[Volume], *, field: int) -> str:
    """The lines of a table whose device, in the given field, is not on the replica are commented out."""

    def lost(line: str) -> bool:
        fields = line.split()
        if len(fields) <= field or not fields[field].strip('"').startswith(_DEVICES):
            return False
        # What is not a disk (/dev/urandom, a RAM disk) is there on every machine.
        return not fields[field].startswith(_EVERYWHERE) and find(volumes, fields[field]) is None

    return _off(text, lost)


def switched_off(old: str, new: str) -> tuple[str, ...]:
    """The lines of a text that have become comments in the new one."""
    before = set(old.splitlines())
    lines = (line for line in new.splitlines() if line.startswith(OFF) and line not in before)
    return tuple(line.removeprefix(OFF) for line in lines)


def without_arrays(text: str) -> str:
    """mdadm.conf without its arrays; a line that begins with blanks goes on with the one before."""
    within = False

    def lost(line: str) -> bool:
        nonlocal within
        within = line.upper().startswith("ARRAY") or (within and line[:1] in (" ", "\t"))
        return within

    return _off(text, lost)


def lvm_local(text: str) -> str:
    """lvmlocal.conf that has LVM look at all devices (lvm.conf(5), use_devicesfile)."""
    return text if _ALL_DEVICES in text else text + _ALL_DEVICES


def _off(text: str, lost: Callable[[str], bool]) -> str:
    """Each line for which ``lost`` holds becomes a comment; comments stay."""
    lines = text.splitlines(keepends=True)
    return "".join(f"{OFF}{line}" if not line.startswith("#") and lost(line) else line for line in lines)
