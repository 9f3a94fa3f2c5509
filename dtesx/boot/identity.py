"""Who the replica is: its host name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dtesx.boot.replica import Replica


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
