"""What a target tells about the directories below its roots, as it is asked and as there is room for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from dtesx.apply.outlook import Outlook
from dtesx.mirror.catalogue import catalogue_path
from dtesx.replication.answering import Answering
from dtesx.replication.listing import TargetListing
from dtesx.wire.messages import Answer, Ask, List, Listing
from dtesx.wire.protocol import TargetProtocol


class Telling:
    """A listing or answers, for one root at a time. ``protocol`` is told what was told.

    ``root`` gives the descriptor of a numbered root, ``outlook`` what it will be (None: what it is);
    ``problem`` gets path and reason. In ``catalogue`` what was read is kept for the next time.
    """

    def __init__(
        self,
        protocol: TargetProtocol,
        root: Callable[[int], int],
        problem: Callable[[bytes, str], None],
        *,
        outlook: Callable[[int], Outlook | None],
        catalogue: Path | None,
    ) -> None:
        self._protocol = protocol
        self._root = root
        self._problem = problem
        self._outlook = outlook
        self._catalogue = catalogue
        self._listing: Iterator[Listing] | None = None
        self._answering: Answering | None = None

    @property
    def due(self) -> bool:
        """Whether there is something to tell, and room for it."""
        if self._listing is None and (self._answering is None or not self._answering.waiting):
            return False
        return self._protocol.credit > 0

    def list(self, message: List) -> None:
        """Everything below a root is wanted."""
        root = self._root(message.root)
        self._listing = TargetListing(root, message.root, self._problem, sums=message.sums).messages()

    def ask(self, message: Ask) -> None:
        """Some directories are asked about. Raises ProtocolError."""
        if self._answering is None:
            file, outlook = None, self._outlook(message.root)
            if self._catalogue is not None and outlook is None and message.whole:
                file = catalogue_path(self._catalogue, self._protocol.names[message.root])
            root = self._root(message.root)
            self._answering = Answering(
                root, message.root, self._problem, file, outlook=outlook, sums=message.sums
            )
        self._answering.ask(message)
        self._all_told(self._answering)

    def tell(self) -> Listing | Answer:
        """The next part, when something is due."""
        if self._listing is not None:
            listing = next(self._listing)
            self._protocol.listed(last=listing.last)
            if listing.last:
                self._listing = None
            return listing
        assert self._answering is not None
        answer = self._answering.answer()
        self._protocol.told(answer)
        self._all_told(self._answering)
        return answer

    def renew(self) -> None:
        """The roots changed."""
        if self._answering is not None:
            self._answering.renew()

    def close(self) -> None:
        """Close everything."""
        if self._answering is not None:
            self._answering.close()
            self._answering = None

    def _all_told(self, answering: Answering) -> None:
        if self._protocol.all_told():
            answering.keep()
            self.close()
