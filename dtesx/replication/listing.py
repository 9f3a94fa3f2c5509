"""What a target has below a root, streamed to the source in walking order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dtesx.apply.durable import doubt_from
from dtesx.apply.leftovers import tidy
from dtesx.base.log import get_logger
from dtesx.mirror.scan import WalkOptions, own_item
from dtesx.mirror.walking import walk
from dtesx.wire.items import Item
from dtesx.wire.messages import Directory, Listing

log = get_logger(__name__)

_LISTING_ITEMS = 4000
_LISTING_BYTES = 512 << 10


class TargetListing:
    """Lists the tree behind ``fd``, the target's root number ``root``.

    Files that a killed target left half written are removed on the way, what it left half changed is
    completed; ``problem`` gets path and
    reason when one cannot be. With ``sums``, small files are read for the sum of their content.
    """

    def __init__(
        self, fd: int, root: int, problem: Callable[[bytes, str], None], *, sums: bool = False
    ) -> None:
        self._sums = sums
        self._fd = fd
        self._root = root
        self._problem = problem

    def messages(self) -> Iterator[Listing]:
        """The listing in frames; each is made when it is asked for."""
        fd, root = self._fd, self._root
        own: Item | None = own_item(fd)
        parts: list[Directory] = []
        count = size = 0
        options = WalkOptions(
            problem=self._unlisted, leftover=self._leftover, doubt_from=doubt_from(fd), sums=self._sums
        )
        for visit in walk(fd, options):
            if not visit.entered:
                continue
            items: list[Item] = []
            for item in visit.entries:
                items.append(item)
                count += 1
                size += weight_of(item)
                if count >= _LISTING_ITEMS or size >= _LISTING_BYTES:
                    yield Listing(root, [*parts, Directory(visit.path, items, own)])
                    parts, items, own, count, size = [], [], None, 0, 0
            parts.append(Directory(visit.path, items, own))
            own = None
            count += 1
            size += len(visit.path)
        yield Listing(root, parts, last=True)

    def _unlisted(self, path: bytes, reason: str) -> None:
        # A directory that was removed while the listing was on its way to it is no problem.
        log.info("not listed", path=path, reason=reason)

    def _leftover(self, directory: int, name: bytes) -> None:
        tidy(directory, name, self._problem)


def weight_of(item: Item) -> int:
    """About how many bytes an item takes on the wire."""
    weight = 40 + len(item.name) + len(item.target) + len(item.sum)
    return weight + sum(len(name) + len(value) for name, value in item.xattrs) if item.xattrs else weight
