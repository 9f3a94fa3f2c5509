"""When a mirror must not be made, because it would carry an accident to the replica. Purely."""

from __future__ import annotations

from dtesx.base.errors import Halted, RootElsewhere, RootEmpty, RootRenamed, RootReplaced
from dtesx.model.roots import ReplicaRoot, SourceRoot

_NOTHING = "nothing was sent and nothing was deleted"
_REBIND = "if this is what you want, repeat the command with --rebind"


def halt(now: SourceRoot, replica: ReplicaRoot, *, spares_orphans: bool = False) -> Halted | None:
    """Why the root as it is ``now`` must not be mirrored to ``replica``; None when it may.

    Each class of error is one state. With ``spares_orphans`` the mirror removes nothing, so that an
    empty source does no harm.
    """
    if (last := replica.last) is not None and (error := _changed(now, last)) is not None:
        return error
    if not now.names and not replica.empty and not spares_orphans:
        held = f"the last mirror saw {last.names} names in it" if last else "the replica is not empty"
        return RootEmpty(
            f"{now.path} is empty, and {held}; {_NOTHING}",
            hint=f"check that its file system is mounted (findmnt) and its files are there; {_REBIND}",
        )
    return None


def _changed(now: SourceRoot, last: SourceRoot) -> Halted | None:
    if now.path != last.path:
        return RootRenamed(
            f"the replica holds {last.path}, not {now.path}; {_NOTHING}",
            hint=f"mirror another tree to another name; {_REBIND}",
        )
    if now.file_system != last.file_system:
        return RootElsewhere(
            f"{now.path} lies on another file system than at the last mirror; {_NOTHING}",
            hint=f"check that the right one is mounted (findmnt {now.path}); {_REBIND}",
        )
    if now.inode != last.inode:
        return RootReplaced(
            f"{now.path} is another directory than at the last mirror; {_NOTHING}",
            hint=f"look where the directory of the last mirror went; {_REBIND}",
        )
    if missing := sorted(set(last.mounts) - set(now.mounts)):
        return RootElsewhere(
            f"{missing[0]} below {now.path} is not mounted any more; {_NOTHING}",
            hint=f"mount it again; {_REBIND}",
        )
    return None
