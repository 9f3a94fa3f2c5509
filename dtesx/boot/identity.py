"""Who the replica is: its host name and the names of its network interfaces."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dtesx.base.errors import UsageError
from dtesx.boot.replica import Replica

_LINKS = "/etc/systemd/network"
_OURS = "10-dtesx-"
_INTERFACE = re.compile(r"[^\s/:]{1,15}")
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
# VLANs and bridges inherit their card's MAC: only a real card's driver may match.
_DRIVERS = "vmxnet3 e1000e e1000"


def fix_hostname(replica: Replica) -> Sequence[str]:
    """Give the replica another host name, if one was asked for; /etc/hosts follows."""
    new = replica.hostname
    if not new:
        return ()
    old = replica.tree.text("/etc/hostname").strip()
    if not replica.tree.write("/etc/hostname", f"{new}\n"):
        return ()
    if old:
        replica.tree.write("/etc/hosts", rename_in_hosts(replica.tree.text("/etc/hosts"), old, new))
    return (f"host name {old or '(none)'} is now {new}",)


def rename_in_hosts(text: str, old: str, new: str) -> str:
    """Replace a name (and the same name with a domain) in hosts(5), leaving comments alone."""
    name = re.compile(rf"(?<=\s){re.escape(old.split('.')[0])}(?=[.\s]|$)")
    lines = []
    for line in text.splitlines(keepends=True):
        entry, mark, comment = line.partition("#")
        lines.append(name.sub(new.split(".")[0], entry) + mark + comment)
    return "".join(lines)


def fix_nic_names(replica: Replica) -> Sequence[str]:
    """Keep interface names by systemd.link(5) files that match the replica's MAC addresses.

    udev applies them in the root file system even to a card that the initramfs has renamed.
    Raises UsageError for a name or MAC that cannot be one.
    """
    wanted = {f"{_OURS}{name}.link": _link(mac.lower(), name) for mac, name in replica.nic_names.items()}
    changes = []
    for stale in replica.tree.names(_LINKS):
        if stale.startswith(_OURS) and stale not in wanted:
            replica.tree.remove(f"{_LINKS}/{stale}")
            changes.append(f"network: {stale} removed")
    for mac, name in replica.nic_names.items():
        file = f"{_OURS}{name}.link"
        if replica.tree.write(f"{_LINKS}/{file}", wanted[file]):
            changes.append(f"network: the card {mac.lower()} is {name}")
    return changes


def _link(mac: str, name: str) -> str:
    if not _MAC.fullmatch(mac) or not _INTERFACE.fullmatch(name):
        raise UsageError(
            f"{name!r} with MAC {mac!r} is not a network interface",
            hint="check the network mapping of the job",
        )
    return (
        "# Written by dtesx: keeps the interface name of the protected server.\n"
        f"[Match]\nMACAddress={mac}\nDriver={_DRIVERS}\n\n[Link]\nName={name}\n"
    )
