"""What the target answered about the directories that it was asked about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import Item
from dtesx.wire.messages import Directory


class Answers:
    """What the target has in the directories it was asked about, in the order of asking.

    An answer is the directory as the target has it, or a number: so many directories are the same
    (above 0) or not there (below 0).
    """

    def __init__(self, answers: Iterable[int | Directory]) -> None:
        self._answers = iter(answers)
        self._run = 0
        self.root: Item | None = None

    def take(self, path: bytes) -> Iterator[Item] | None:
        """The names that the target has in the next directory; None: the same as the source.

        ``root`` is the target's root itself once that was taken and differs. What is returned must
        be used up before the next call. Raises ProtocolError when the answer is about another one.
        """
        if not self._run:
            answer = self._next()
            if isinstance(answer, Directory):
                _check(answer, path)
                self.root = answer.own or self.root
                return self._items(answer)
            self._run = answer
        step = 1 if self._run > 0 else -1
        self._run -= step
        return None if step > 0 else iter(())

    def _items(self, part: Directory) -> Iterator[Item]:
        yield from part.items
        while part.more:
            answer = self._next()
            if not isinstance(answer, Directory):
                raise ProtocolError("a directory came without its end")
            _check(answer, part.path)
            part = answer
            yield from part.items

    def _next(self) -> int | Directory:
        answer = next(self._answers, 0)
        if not answer:
            raise ProtocolError("an answer is missing")
        return answer


def _check(answer: Directory, path: bytes) -> None:
    if answer.path != path:
        raise ProtocolError(f"the target answered about {answer.path!r}, not {path!r}")
