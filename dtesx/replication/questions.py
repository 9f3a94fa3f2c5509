"""What a source asks about its roots while it mirrors, and when it is answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dtesx.apply.outlook import Outlook
from dtesx.apply.staging import Staging
from dtesx.mirror.sums import Summer
from dtesx.replication.epochs import Epochs
from dtesx.replication.summing import Summing
from dtesx.replication.telling import Telling
from dtesx.wire.messages import Answer, Ask, List, Listing
from dtesx.wire.protocol import TargetProtocol
from dtesx.wire.sums import Sums, SumsRequest


class Questions:
    """The questions of one stream: about directories and about the content of files.

    Answers are about what the roots will be when the ``epochs`` that wait are applied. ``root`` gives the
    descriptor of a numbered root; ``problem`` gets path and reason. What differs is begun anew in
    ``staging``; in ``catalogue`` what was read is kept for the next time.
    """

    def __init__(
        self,
        protocol: TargetProtocol,
        epochs: Epochs,
        root: Callable[[int], int],
        problem: Callable[[bytes, str], None],
        *,
        summer: Summer,
        staging: Staging,
        catalogue: Path | None,
    ) -> None:
        self._names = protocol.names
        self._epochs = epochs
        self._telling = Telling(protocol, root, problem, outlook=self._outlook, catalogue=catalogue)
        self._summing = Summing(root, summer, staging, self._foreseen)

    @property
    def due(self) -> bool:
        """Whether there is something to answer, and room for it."""
        return self._summing.asked or self._telling.due

    def ask(self, message: Ask | List | SumsRequest) -> None:
        """Take a question. Raises ProtocolError."""
        if isinstance(message, SumsRequest):
            self._summing.ask(message)
        elif isinstance(message, Ask):
            self._telling.ask(message)
        else:
            self._telling.list(message)

    def answer(self, *, idle: bool) -> Sums | Listing | Answer | None:
        """The next answer, if there is one to be given now; ``idle``: nothing else is to be done."""
        # Sums not only when nothing else arrives: a source waits for them while it sends.
        if self._summing.asked:
            return self._summing.answer()
        return self._telling.tell() if idle and self._telling.due else None

    def renew(self) -> None:
        """The roots changed, or what they will be."""
        self._telling.renew()
        self._summing.close()

    def close(self) -> None:
        """Close everything."""
        self._telling.close()
        self._summing.close()

    def _outlook(self, root: int) -> Outlook | None:
        return self._epochs.outlook(self._names[root])

    def _foreseen(self, request: SumsRequest) -> SumsRequest | Sums:
        return self._epochs.foreseen(self._names[request.root], request)
