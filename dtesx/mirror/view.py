"""What a mirror looks at of a tree, and what is known of that tree before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from dtesx.mirror.catalogue import Catalogue
from dtesx.mirror.leading import NEVER
from dtesx.mirror.pieces import Piece
from dtesx.mirror.replaced import Below
from dtesx.mirror.selection import Scope
from dtesx.model.changes import Changes, Touch
from dtesx.model.paths import join


def _everything() -> Changes:
    return Changes(everything=True)


_NOTHING = Below()


def _untold(_inode: int, _path: bytes) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, kw_only=True)
class View:
    """How one mirror sees a tree.

    ``scope`` selects what is mirrored (None: all), ``changed`` says what of that may differ at all, and
    ``since`` from which ctime on (nanoseconds) content may although size and times do not; so may that of
    what was ``replaced``. ``bounded``: of a file with spans in ``changed`` nothing else can be read.
    ``linked`` gets inode and path of every name of a file that has several. ``remap`` turns the text of
    symlinks into the replica's (mirror.remap; ``catalogue`` must be one of such texts). With ``piece``, that
    much is mirrored.
    """

    scope: Scope | None = None
    catalogue: Catalogue | None = None
    remap: Callable[[bytes], bytes] | None = None
    changed: Changes = field(default_factory=_everything)
    since: int = NEVER
    replaced: Below = _NOTHING
    bounded: bool = False
    linked: Callable[[int, bytes], None] = _untold
    piece: Piece | None = None

    def doubts(self, directory: bytes) -> bool:
        """Whether something in a directory may differ although all that its digest covers is the same."""
        return directory in self.changed.names or directory in self.replaced

    def may_differ(self, directory: bytes, name: bytes) -> bool:
        """Whether a file may have other content although its size and times are the same."""
        touch = self.changed.names.get(directory, {}).get(name, Touch(0))
        return Touch.CONTENT in touch or join(directory, name) in self.replaced

    @property
    def whole(self) -> bool:
        """Whether all of the tree is looked at, at once."""
        return self.piece is None and self.changed.everything
