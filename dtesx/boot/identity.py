"""Who the replica is: its host name, and no new instance of a cloud."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dtesx.boot.replica import Replica

_CLOUD_INIT = "/etc/cloud/cloud.cfg"
_CLOUD_INIT_OFF = "/etc/cloud/cloud-init.disabled"


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


def keep_instance(replica: Replica) -> Sequence[str]:
    """Switch cloud-init off (by the file that its documentation names).

    It would take the replica for the first start of a new instance: make SSH host keys and users anew,
    set the host name, and write a network configuration of its own.
    """
    if not replica.tree.is_file(_CLOUD_INIT) or replica.tree.is_file(_CLOUD_INIT_OFF):
        return ()
    replica.tree.write(_CLOUD_INIT_OFF, "Written by dtesx: this machine is a replica, not a new instance.\n")
    return ("cloud-init is switched off: it would take the replica for a new instance",)
