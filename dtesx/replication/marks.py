"""Which roots are marked as not synced, and what a failed sync means for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from dtesx.apply.durable import clear_mark, distrust, set_mark
from dtesx.apply.errors import Fate, Hold, check_broken, fate, persist
from dtesx.base.errors import DtesxError, TargetFull


class Marks:
    """The marks (see apply.durable) of the roots ``names``, which ``root`` opens by their numbers.

    ``hold`` is called while a mark has to wait. Methods raise DtesxError.
    """

    def __init__(self, names: tuple[str, ...], root: Callable[[int], int], hold: Hold) -> None:
        self._names = names
        self._root = root
        self._hold = hold
        self._marked: set[int] = set()

    def mark(self, root: int) -> None:
        """From now on what is below a root changes and is not synced."""
        if root in self._marked:
            return
        fd, name = self._root(root), self._names[root]
        try:
            set_mark(fd)
        except OSError as error:
            if (lasting := persist(lambda: set_mark(fd), error, name, self._hold)) is not None:
                raise _not_durable(lasting) from lasting
        self._marked.add(root)

    def clear(self, root: int) -> None:
        """All that is below a root is on disk."""
        try:
            clear_mark(self._root(root))
        except OSError as error:
            raise _not_durable(error) from error
        self._marked.discard(root)

    def failed(self, error: OSError, committing: int | None) -> NoReturn:
        """A sync failed: what the kernel could not write is lost, whatever the files look like."""
        doubtful = self._marked if committing is None else self._marked | {committing}
        for root in doubtful:
            with suppress(OSError):
                distrust(self._root(root))
        check_broken(error, ", ".join(self._names))
        raise _not_durable(error) from error


def _not_durable(error: OSError) -> DtesxError:
    if fate(error) is Fate.FULL:
        return TargetFull(
            "no space is left on the target: it could not write what it had taken",
            hint="free space on the target or enlarge the replica's disk, then start the mirror again",
        )
    return DtesxError(
        f"the target cannot make its files durable: {error.strerror}",
        hint="look at the target's kernel log (dmesg)",
    )
