"""SELinux: a replica has the source's labels, and new files those of their directories (see boot.tree).

Nothing needs to be relabelled then. Only a tree whose labels did not travel does, once, at its first start
(selinux(8), "/.autorelabel").
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree

_CONFIG = "/etc/selinux/config"
_FLAG = "/.autorelabel"
_ACTIVE = re.compile(r"^\s*SELINUX=(?:enforcing|permissive)\s*$", re.MULTILINE)
_SAMPLES = ("/etc", "/etc/passwd", "/usr/bin", "/usr/sbin/init")


def unlabelled(tree: Tree) -> bool:
    """Whether SELinux is on in the replica and files that every policy labels have no label."""
    if not _ACTIVE.search(tree.text(_CONFIG)):
        return False
    places = [tree.resolve(path) for path in _SAMPLES]
    return any("security.selinux" not in os.listxattr(place) for place in places if place.exists())


def fix(replica: Replica) -> Sequence[str]:
    """Have the replica relabel itself where labels are missing."""
    if replica.tree.is_file(_FLAG) or not unlabelled(replica.tree):
        return ()
    replica.tree.write(_FLAG, "")
    return ("SELinux labels are missing: the replica gives them at its first start, which takes longer",)
