"""What a mirror looks at of a tree, and what is known of that tree before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dtesx.mirror.catalogue import Catalogue
from dtesx.mirror.leading import NEVER
from dtesx.mirror.pieces import Piece
from dtesx.mirror.selection import Scope
from dtesx.model.changes import Changes


def _everything() -> Changes:
    return Changes(everything=True)


def _untold(_inode: int, _path: bytes) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, kw_only=True)
class View:
    """How one mirror sees a tree.

    ``scope`` selects what is mirrored (None: all), ``changed`` says what of that may differ at all, and
    ``since`` from which ctime on (nanoseconds) content may although size and times do not. ``bounded``: of
    a file with spans in ``changed`` nothing else can be read. ``linked`` gets inode and path of every name
    of a file that has several. ``remap`` turns the text of symlinks into the replica's (mirror.remap;
    ``catalogue`` must be one of such texts). With ``piece``, that much is mirrored.
    """

    scope: Scope | None = None
    catalogue: Catalogue | None = None
    remap: Callable[[bytes], bytes] | None = None
    changed: Changes = field(default_factory=_everything)
    since: int = NEVER
    bounded: bool = False
    linked: Callable[[int, bytes], None] = _untold
    piece: Piece | None = None

    @property
    def whole(self) -> bool:
        """Whether all of the tree is looked at, at once."""
        return self.piece is None and self.changed.everything
