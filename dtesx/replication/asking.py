"""Asking a target for the sums of files."""

from __future__ import annotations

from collections.abc import Callable

from dtesx.mirror.delta import Segment
from dtesx.mirror.sums import Summer
from dtesx.wire.sums import Sums, SumsRequest


class SumsAsker:
    """Asks for sums of one root's files."""

    def __init__(
        self,
        root: int,
        summer: Summer,
        send: Callable[[SumsRequest], None],
        answer: Callable[[bool], Sums | None],
    ) -> None:
        self.summer = summer
        self._root = root
        self._send = send
        self._answer = answer

    def ask(
        self,
        number: int,
        directory: bytes,
        name: bytes,
        segment: Segment,
        sums: bytes,
        *,
        stage: bool,
        chunks: bool,
    ) -> None:
        """See ``mirror.window.Asker``."""
        request = SumsRequest(
            root=self._root,
            number=number,
            directory=directory,
            name=name,
            offset=segment.offset,
            length=segment.length,
            sums=sums,
            shift=segment.shift,
            stage=stage,
            chunks=chunks,
        )
        self._send(request)

    def answer(self, *, wait: bool) -> Sums | None:
        """See ``mirror.window.Asker``."""
        return self._answer(wait)
