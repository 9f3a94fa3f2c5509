"""What a target has below a root, told directory by directory as the source asks."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from dtesx.apply.directories import Directories
from dtesx.apply.durable import doubt_from
from dtesx.apply.leftovers import tidy
from dtesx.apply.names import check_name
from dtesx.apply.outlook import Outlook, Tree
from dtesx.base.log import get_logger
from dtesx.mirror.catalogue import open_catalogue
from dtesx.mirror.reading import Reader
from dtesx.mirror.scan import Scanner, Visit, WalkOptions, own_item, reason
from dtesx.model.changes import Touch
from dtesx.replication.listing import weight_of
from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import Item
from dtesx.wire.messages import Answer, Ask, Directory, Question

log = get_logger(__name__)

_FRAME = 512 << 10
_ANSWER = 16
_QUESTIONS = 8 << 20


class Answering:
    """Answers about the tree behind ``fd``, the target's root number ``root``.

    Files that a killed target left half written are removed on the way; ``problem`` gets path and
    reason when one cannot be. With a ``catalogue`` file, what was read before is not read again. With
    ``sums``, small files are read for the sum of their content. With an ``outlook``
    the answers are about what the tree will be, and nothing is removed.
    """

    def __init__(
        self,
        fd: int,
        root: int,
        problem: Callable[[bytes, str], None],
        catalogue: Path | None,
        *,
        outlook: Outlook | None = None,
        sums: bool = False,
    ) -> None:
        self._root = root
        self._outlook = outlook
        self._problem = problem
        self._questions: deque[Question] = deque()
        self._weight = 0
        self._unfinished = False
        self._missing = b""
        self._stale = False
        self._parts: Iterator[int | Directory] = iter(())
        doubt = doubt_from(fd)
        leftover = self._leftover if outlook is None else None
        options = WalkOptions(problem=self._unlisted, leftover=leftover, doubt_from=doubt, sums=sums)
        self._scanner = Scanner(fd, options)
        self._catalogue = open_catalogue(catalogue, fd) if catalogue is not None and doubt is None else None
        self._reader = Reader(self._catalogue, digests=doubt is None and not sums)
        with ExitStack() as stack:
            self._directories = Directories(fd)
            stack.callback(self._directories.close)
            if self._catalogue is not None:
                stack.callback(self._catalogue.close)
            self._stack = stack.pop_all()

    def ask(self, message: Ask) -> None:
        """Take questions; raises ProtocolError when they are too many, or lead elsewhere."""
        for _, _, names in message.directories:
            for name in names or ():
                check_name(name)
        self._questions += message.directories
        self._weight += sum(map(_weight, message.directories))
        if self._weight > _QUESTIONS:
            raise ProtocolError("too much was asked at once")

    @property
    def waiting(self) -> bool:
        """Whether there is something to answer."""
        return bool(self._questions) or self._unfinished

    def answer(self) -> Answer:
        """The answers to as many questions as fit into a frame."""
        answers: list[int | Directory] = []
        weight = 0
        while weight < _FRAME:
            answer = next(self._parts, None)
            self._unfinished = isinstance(answer, Directory) and answer.more
            if isinstance(answer, Directory):
                answers.append(answer)
                weight += sum(map(weight_of, answer.items), len(answer.path) + _ANSWER)
            elif answer is not None:
                _count(answers, answer)
                weight += _ANSWER
            elif self._questions:
                self._forget_stale()
                question = self._questions.popleft()
                self._weight -= _weight(question)
                self._parts = self._about(*question)
            else:
                break
        return Answer(self._root, answers)

    def renew(self) -> None:
        """The tree changed: paths may lead elsewhere from the next question on."""
        self._stale = True

    def keep(self) -> None:
        """Keep what was read for the next time: there are no more questions."""
        if self._catalogue is not None:
            self._catalogue.keep()

    def close(self) -> None:
        """Close everything."""
        self._stack.close()

    def _forget_stale(self) -> None:
        if self._stale:
            self._stale, self._missing = False, b""
            self._directories.forget(b"")

    def _about(self, path: bytes, digest: bytes, only: list[bytes] | None) -> Iterator[int | Directory]:
        if self._missing and path.startswith(self._missing):  # as most are at a first mirror
            yield -1
            return
        tree = path if self._outlook is None else self._outlook.directory(path)
        if isinstance(tree, Tree):
            yield from self._foreseen(path, tree, only)
            return
        if tree is None:
            yield -1
            return
        try:
            visit = self._look(tree, only)
        except OSError as error:
            self._unlisted(path, reason(error))
            if error.errno == errno.ENOENT:
                self._missing = path + b"/"
            yield -1
            return
        reading = self._reader.read(visit)
        if digest and reading.digest == digest:
            yield 1
            return
        own = None if path else own_item(visit.fd)
        items = self._look(tree, only).entries if reading.items is None else reading.items
        yield from _parts(path, items if self._outlook is None else map(self._outlook.present, items), own)

    def _foreseen(self, path: bytes, tree: Tree, only: list[bytes] | None) -> Iterator[Directory]:
        """About a directory that will be another than it is."""
        there: Iterable[Item] = ()
        if tree.origin is not None:
            try:
                there = list(self._look(tree.origin, only).entries)
            except OSError as error:
                self._unlisted(path, reason(error))
        assert self._outlook is not None
        own = None if path else tree.item or own_item(self._directories.get(b"").fd)
        yield from _parts(path, self._outlook.entries(tree, there, only), own)

    def _look(self, path: bytes, only: list[bytes] | None) -> Visit:
        above = self._scanner.device if path else None
        names = None if only is None else dict.fromkeys(only, Touch.METADATA)
        return self._scanner.look(path, self._directories.get(path).fd, None, above=above, only=names)

    def _unlisted(self, path: bytes, reason: str) -> None:
        # A directory that the target does not have, or not any more, is no problem.
        log.debug("not listed", path=path, reason=reason)

    def _leftover(self, directory: int, name: bytes) -> None:
        tidy(directory, name, self._problem)


def _weight(question: Question) -> int:
    path, digest, names = question
    return len(path) + len(digest) + sum(map(len, names or ()))


def _count(answers: list[int | Directory], step: int) -> None:
    """Add one directory that is the same (1) or not there (-1) to the run at the end of the answers."""
    run = answers[-1] if answers else None
    if isinstance(run, int) and (run > 0) == (step > 0):
        answers[-1] = run + step
    else:
        answers.append(step)


def _parts(path: bytes, items: Iterable[Item], own: Item | None) -> Iterator[Directory]:
    part: list[Item] = []
    size = 0
    for item in items:
        part.append(item)
        size += weight_of(item)
        if size >= _FRAME:
            yield Directory(path, part, own, more=True)
            part, own, size = [], None, 0
    yield Directory(path, part, own)
