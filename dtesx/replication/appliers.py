"""The roots of one place as a target works on them: opened when they are needed, an applier for each."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from dtesx.apply.applying import Applier
from dtesx.apply.durable import sync_file_system
from dtesx.apply.errors import Hold
from dtesx.apply.orphans import open_beside
from dtesx.apply.staging import Staged, unstaged
from dtesx.apply.workplace import Counts
from dtesx.base.errors import Refused
from dtesx.mirror.protection import protected
from dtesx.wire.sums import Basis

_OPEN_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Adopt = Callable[[str, bytes, bytes, Basis], Staged]
"""What is staged of a file in this state, by root, directory and name."""


def _nothing(_root: str, directory: bytes, name: bytes, basis: Basis) -> Staged:
    return unstaged(directory, name, basis)


class Appliers:
    """Opens what ``find`` says is the directory of a root, and has operations carried out there.

    ``problem`` gets path and reason of what could not be done for good, ``hold`` is called while
    something has to wait, ``adopt`` knows what is staged.
    """

    def __init__(
        self,
        find: Callable[[str], Path],
        problem: Callable[[bytes, str], None],
        hold: Hold,
        adopt: Adopt = _nothing,
    ) -> None:
        self._find = find
        self._problem = problem
        self._hold = hold
        self._adopt = adopt
        self._stack = ExitStack()
        self._fds: dict[str, int] = {}
        self._appliers: dict[str, Applier] = {}

    def __enter__(self) -> Appliers:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def fd(self, root: str) -> int:
        """A descriptor of a root's directory. Raises Refused."""
        if root not in self._fds:
            path = self._find(root)
            try:
                self._fds[root] = os.open(path, _OPEN_ROOT)
            except OSError as error:
                raise Refused(
                    f"the target cannot open {path}: {error.strerror}",
                    hint="check that the replica's file systems are mounted on the target",
                ) from error
            self._stack.callback(os.close, self._fds[root])
        return self._fds[root]

    def of(self, root: str) -> Applier:
        """What carries out operations on a root. Raises Refused."""
        if root not in self._appliers:
            path = self._find(root)
            self._appliers[root] = applier = Applier(
                self.fd(root),
                self._problem,
                hold=self._hold,
                beside=lambda move_to: open_beside(path, move_to),
                protection=protected,
                adopt=partial(self._adopt, root),
            )
            self._stack.callback(applier.close)
        return self._appliers[root]

    @property
    def working(self) -> list[int]:
        """Descriptors of the roots on which operations were carried out."""
        return [self._fds[root] for root in self._appliers]

    def counts(self) -> list[Counts]:
        """What was done, a root each."""
        return [applier.counts for applier in self._appliers.values()]

    def sync(self) -> None:
        """Have all that was carried out on disk. Raises OSError."""
        for fd in self.working:
            sync_file_system(fd)

    def settled(self) -> None:
        """All that was carried out is on disk, and will not be carried out again. Raises OSError."""
        for applier in self._appliers.values():
            applier.settled()
