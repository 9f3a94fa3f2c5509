"""Sending what changed of the roots of a replication, and mirrors of all of a root in slices."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from functools import partial
from pathlib import Path

from dtesx.mirror.catalogue import open_catalogue
from dtesx.mirror.hard_links import LinkNames
from dtesx.mirror.leading import NEVER
from dtesx.mirror.pieces import Piece
from dtesx.mirror.replaced import Below, replaced
from dtesx.mirror.selection import Scope
from dtesx.mirror.view import View
from dtesx.model.changes import Changes
from dtesx.model.mirror import Compare, MirrorOptions
from dtesx.replication.continuous.slicing import Position, SlicedMirror, split
from dtesx.replication.guarding import Guard
from dtesx.replication.source_session import SourceSession


class Updater:
    """Makes replicas of ``roots`` what these are now, over whatever session.

    ``guard`` opens the roots, ``scope`` says what of them is mirrored, ``mirror`` how; where more
    changed than hints could tell, content is compared by ``remirror``. Catalogues of the roots are
    kept in the files that ``catalogue`` names, if any. ``tick`` is called now and then and may raise.
    Methods raise what the session and the guard do.
    """

    def __init__(
        self,
        roots: tuple[str, ...],
        guard: Guard,
        *,
        scope: Callable[[str], Scope | None],
        mirror: MirrorOptions,
        remirror: Compare,
        catalogue: Callable[[str], Path] | None,
        tick: Callable[[], None],
    ) -> None:
        self._indices = {root: index for index, root in enumerate(roots)}
        self._guard = guard
        self._scope = scope
        self._mirror = mirror
        self._remirror = remirror
        self._catalogue = catalogue
        self._tick = tick
        self._links = {root: LinkNames() for root in roots}
        self._mirrors: dict[str, SlicedMirror] = {}
        self._since = dict.fromkeys(roots, NEVER)

    @property
    def mirroring(self) -> str | None:
        """The root of which a slice is to be sent next; None when all mirrors are done."""
        return next(iter(self._mirrors), None)

    def begin(self, root: str, since: int, *, blurred: bool = False) -> None:
        """Begin to mirror all of a root, in slices; from the beginning, if that is under way.

        What changed ``since`` (ctime, nanoseconds) may have other content though it looks the same.
        """
        self._end(root)
        self._since[root] = since
        self._links[root] = LinkNames()
        with self._guard.open(root) as fd:
            catalogue = open_catalogue(self._catalogue(root), fd) if self._catalogue is not None else None
        self._mirrors[root] = SlicedMirror(self._links[root], catalogue, blurred=blurred)

    def rewind(self, root: str, position: Position) -> None:
        """What was sent of a root's mirror from ``position`` on is lost."""
        if root in self._mirrors:
            self._mirrors[root].rewind(position)
        else:
            position = replace(position, linked=0)
            names = self._links[root]
            self._mirrors[root] = SlicedMirror(names, None, blurred=True, position=position)

    def sent_so_far(self, root: str, changes: Changes) -> tuple[Changes, Changes]:
        """What of ``changes`` has to be sent now, and what a slice to come will see anyway."""
        mirror = self._mirrors.get(root)
        return split(changes, mirror.position) if mirror is not None else (changes, Changes())

    def names(self, root: str) -> LinkNames:
        """What is known of files of a root that have several names."""
        return self._links[root]

    def seek(self, root: str, changes: Changes) -> None:
        """Look for the names of files of which the inode alone is told, if there is nothing else to do.

        Mostly they have none in this tree, and then nothing is left of the ``changes``.
        """
        if not (changes.names or changes.moved or changes.everything or root in self._mirrors):
            with self._guard.open(root) as fd:
                self._links[root].complete(fd, changes, self._tick)
            changes.inodes.clear()

    def complete(self, root: str, changes: Changes) -> Changes:
        """The other names of the files behind changed names, for when these go before anybody looks.

        Those that a mirror under way will see are left to it.
        """
        mirror = self._mirrors.get(root)
        if changes.everything or (mirror is not None and mirror.between().defers):
            return Changes()
        before = changes.names
        names = {directory: dict(some) for directory, some in before.items()}
        with self._guard.open(root) as fd:
            self._links[root].complete(fd, Changes(names, inodes=set(changes.inodes)), self._tick)
        found = Changes()
        for directory, some in names.items():
            for name, touch in some.items():
                if before.get(directory, {}).get(name) != touch:
                    found.touch(directory, name, touch)
        return found

    def position(self, root: str) -> Position:
        """How far a root's mirror under way has come."""
        return self._mirrors[root].position

    def update(
        self, session: SourceSession, root: str, changes: Changes, moved: Container[bytes] = ()
    ) -> None:
        """Send what changed of a root; what has the paths ``moved``, the target moved there itself."""
        mirror = self._mirrors.get(root)
        piece = mirror.between() if mirror is not None else None
        doubtful = replaced(changes.names, moved)
        if mirror is not None:
            mirror.replaced.add(doubtful)
        with self._guard.open(root) as fd:
            if piece is None or not piece.defers:
                self._links[root].complete(fd, changes, self._tick)
            self._send(session, root, fd, changes, piece, doubtful)

    def slice(self, session: SourceSession, root: str, hints: Changes, enough: Callable[[], bool]) -> Changes:
        """Send a slice of a root's mirror, which is ``enough`` when that says so.

        ``hints`` are what may differ though it looks the same. Returns those that are not dealt with.
        """
        mirror = self._mirrors[root]
        changes, piece = mirror.begin(hints, enough)
        with self._guard.open(root) as fd:
            if not piece.defers:
                self._widen(root, fd, mirror, changes)
            self._send(session, root, fd, changes, piece, mirror.replaced, since=self._since[root])
        mirror.advance()
        _, left = split(hints, mirror.position)
        if mirror.done:
            self._end(root)
        return left

    def close(self) -> None:
        """Close what is open."""
        for root in list(self._mirrors):
            self._end(root)

    def _widen(self, root: str, fd: int, mirror: SlicedMirror, changes: Changes) -> None:
        """Add the names that files with several got after the directories of their others were visited."""
        links = self._links[root]
        if mirror.position.linked == 0:  # a search for names that are not known: one for all slices
            links.widen(fd, mirror.linked(), self._tick)
        links.widen(fd, changes.names, self._tick)

    def _end(self, root: str) -> None:
        if (mirror := self._mirrors.pop(root, None)) is not None:
            mirror.close()

    def _send(
        self,
        session: SourceSession,
        root: str,
        fd: int,
        changes: Changes,
        piece: Piece | None,
        doubtful: Below,
        *,
        since: int = NEVER,
    ) -> None:
        mirror = self._mirrors.get(root)
        blurred = changes.blurred or (mirror is not None and mirror.blurred)
        view = View(
            scope=self._scope(root),
            catalogue=mirror.catalogue if mirror is not None and changes.everything else None,
            changed=changes,
            since=since,
            replaced=doubtful,
            linked=partial(mirror.note, changes) if mirror is not None else self._links[root].note,
            piece=piece,
        )
        options = replace(self._mirror, compare=self._remirror) if blurred else self._mirror
        session.mirror(self._indices[root], fd, options, view)
