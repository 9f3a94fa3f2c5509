"""Keeps a mirror from carrying an accident of its source to the replica."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from dtesx.base.errors import RootEmpty, SetEmpty
from dtesx.mirror.checking import selects
from dtesx.mirror.roots import Watch, is_empty, look
from dtesx.mirror.safety import halt
from dtesx.mirror.selection import Scope
from dtesx.model.mirror import OrphanAction, OrphanPolicy
from dtesx.model.roots import ReplicaRoot, SourceRoot


class Guard:
    """Looks at the roots of one mirror before it and watches them while it runs.

    ``opener`` opens a root by its path. With ``rebind`` the roots may be others than at the last
    mirror; during the mirror they stay what they are all the same.
    """

    def __init__(
        self, opener: Callable[[str], AbstractContextManager[int]], orphans: OrphanPolicy, *, rebind: bool
    ) -> None:
        self._opener = opener
        self._spares_orphans = orphans.action is OrphanAction.KEEP
        self._rebind = rebind
        self._watches: dict[str, Watch] = {}
        self._present: Watch | None = None

    def begin(self, paths: Iterable[str]) -> None:
        """The mirror begins: from now on the roots must stay what they are."""
        for path in paths:
            with self._opener(path) as fd:
                self._watches[path] = Watch(self._opener, path, fd)

    def look(self, path: str, scope: Scope | None, replica: ReplicaRoot) -> SourceRoot:
        """What a root is now; raises Halted when that must not go to ``replica``, or did not stay."""
        with self._opener(path) as fd:
            self._watches[path].compare(fd)
            now = look(fd, path, scope, replica.last)
            harmless = self._spares_orphans or selects(fd, scope) or is_empty(fd)
        error = halt(now, replica, spares_orphans=self._spares_orphans)
        if not harmless and (error is None or isinstance(error, RootEmpty)):
            raise SetEmpty(
                f"the rules select nothing of {path}; nothing was sent and nothing was deleted",
                hint="dtesx repset check --rules FILE SRC tells what is wrong with them",
            )
        if error is not None and not self._rebind:
            raise error
        return now

    @contextmanager
    def open(self, path: str) -> Iterator[int]:
        """Yield a descriptor of the root that was looked at; RootReplaced when it did not stay that."""
        watch = self._watches[path]
        with self._opener(path) as fd:
            watch.compare(fd)
            before, self._present = self._present, watch
            try:
                yield fd
            finally:
                self._present = before
        watch.check()

    def check(self) -> None:
        """To be called while a mirror runs: raises soon after its root was replaced."""
        if self._present is not None:
            self._present.check_now_and_then()
