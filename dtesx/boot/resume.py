"""Resume from disk: an initramfs must not wait for a swap device that the replica does not have.

initramfs-tools reads RESUME from /conf (initramfs.conf(5)); the last assignment wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dtesx.boot import cpio
from dtesx.boot.cpio import Member
from dtesx.boot.devices import Volume, find
from dtesx.boot.initrd import Initrd
from dtesx.boot.replica import Replica

_OVERRIDE = "conf/conf.d/zzz-dtesx-resume"
_CONFIG = "/etc/initramfs-tools/conf.d/resume"
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?RESUME=(\S*)", re.MULTILINE)


def setting(texts: Iterable[str]) -> str:
    """The value in force after reading the files in order; "" when none sets it."""
    found = [value.strip("\"'") for text in texts for value in _ASSIGNMENT.findall(text)]
    return found[-1] if found else ""


def resolves(value: str, swaps: Sequence[Volume]) -> bool:
    """Whether a resume device exists on the replica (or none is asked for)."""
    return value in ("", "none", "auto") or find(swaps, value) is not None


def replacement(swaps: Sequence[Volume]) -> str:
    """What to resume from instead."""
    return swaps[0].stable_name if swaps else "none"


def additions(replica: Replica, initrd: Initrd) -> list[Member]:
    """The members that correct an initramfs-tools archive; none where all is well."""
    if "conf/initramfs.conf" not in initrd.members:
        return []
    names = ["conf/initramfs.conf", *(member.name for member in initrd.files("conf/conf.d"))]
    value = setting(initrd.members[name].data.decode(errors="replace") for name in names)
    if resolves(value, replica.swaps):
        return []
    return [cpio.regular(_OVERRIDE, f"RESUME={replacement(replica.swaps)}\n".encode())]


def fix(replica: Replica) -> Sequence[str]:
    """Correct the configuration that later initramfs builds on the replica will read."""
    value = setting([replica.tree.text(_CONFIG)])
    if resolves(value, replica.swaps):
        return ()
    new = replacement(replica.swaps)
    replica.tree.write(_CONFIG, f"RESUME={new}\n")
    return (f"resume device {value} is now {new}",)
