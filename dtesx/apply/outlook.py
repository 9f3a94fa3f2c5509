"""What a root will hold when everything that waits to be applied is applied: known without applying it.

A tree is laid over the one that is there: names that operations make, change or remove are in it, all
others are looked for where they are now. So a source can be told what its next epoch has to differ
from, while the replica stays as it is. Where operations may come to more than one thing (orphans that
are spared), what is told is what makes the source send more, never less.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from dtesx.apply.names import components
from dtesx.wire.items import UNSURE, Item
from dtesx.wire.operations import (
    Abort,
    Adjust,
    Begin,
    End,
    Enter,
    Finish,
    Link,
    Make,
    Moves,
    Operation,
    Put,
    Remove,
)

_OWN_LINKS = 1 << 62  # no inode of the replica has such a number


@dataclass(slots=True, eq=False)
class File:
    """What is no directory, one for all of its names; ``item`` has none of them.

    ``origin`` is where its content is now; None when that is still to come. ``changed``: an operation
    is about it.
    """

    item: Item
    origin: bytes | None = None
    changed: bool = True


@dataclass(slots=True, eq=False)
class Tree:
    """A directory: ``names`` differ from what is at ``origin`` (None: nothing); None for one that is gone.

    ``item`` is None as long as nothing but names differs.
    """

    item: Item | None
    origin: bytes | None
    names: dict[bytes, File | Tree | None] = field(default_factory=dict)


class Outlook:
    """One root; ``look`` tells what is at a path of it now (None: nothing), and may raise OSError.

    ``names`` counts what is kept in memory.
    """

    def __init__(self, look: Callable[[bytes], Item | None]) -> None:
        self._look = look
        self._handlers: dict[type[Operation], Callable[..., None]] = {
            Make: self._make,
            Put: self._put,
            Begin: self._begin,
            End: self._end,
            Abort: self._end,
            Link: self._link,
            Adjust: self._adjust,
            Remove: self._remove,
            Finish: self._finish,
        }
        self.clear()

    def clear(self) -> None:
        """Nothing waits any more."""
        self._root = Tree(None, b"")
        self._here: Tree | None = self._root
        self._begun: Begin | None = None
        self._links: dict[int, File] = {}
        self._linked = _OWN_LINKS
        self.names = 0

    def add(self, operations: Iterable[Operation]) -> None:
        """Operations that will be carried out after all that came before."""
        for operation in operations:
            if isinstance(operation, Enter):
                found = self._materialized(components(operation.path))
                self._here = found if isinstance(found, Tree) else None
            elif isinstance(operation, Moves):
                self._move(operation)
            elif self._here is not None and type(operation) in self._handlers:
                self._handlers[type(operation)](self._here, operation)

    def directory(self, path: bytes) -> Tree | bytes | None:
        """The directory that will be at ``path``: where it is now, when nothing differs in it.

        None when there will be none; what is now where the result says may be none, too.
        """
        found = self._find(components(path))
        return None if isinstance(found, File) else found

    def file(self, path: bytes) -> File | bytes | None:
        """What will be at ``path``, as ``directory``; None for a directory."""
        found = self._find(components(path))
        if isinstance(found, bytes) and self._links:
            item = self._look(found)
            return self._links.get(item.link, found) if item is not None else None
        return None if isinstance(found, Tree) else found

    def entries(self, tree: Tree, there: Iterable[Item], only: Iterable[bytes] | None) -> list[Item]:
        """What ``tree`` will hold, sorted by name, out of what is ``there`` now at its origin."""
        wanted = None if only is None else set(only)
        items = {item.name: self.present(item) for item in there if item.name not in tree.names}
        for name, node in tree.names.items():
            if node is not None and node.item is not None and (wanted is None or name in wanted):
                items[name] = msgspec.structs.replace(node.item, name=name)
        return [items[name] for name in sorted(items)]

    def present(self, item: Item) -> Item:
        """What a name that is there now, and of which nothing is known, will be: its file may have others."""
        file = self._links.get(item.link) if item.link else None
        return item if file is None else msgspec.structs.replace(file.item, name=item.name)

    def _make(self, here: Tree, operation: Make) -> None:
        name, directory = operation.item.name, operation.item.kind == stat.S_IFDIR
        if not directory:
            self._set(here, name, File(_unlinked(operation.item)))
        elif not isinstance(self._child(here, name), Tree):
            self._set(here, name, Tree(operation.item, None))

    def _put(self, here: Tree, operation: Put) -> None:
        self._set(here, operation.item.name, File(_unlinked(operation.item)))

    def _begin(self, _here: Tree, operation: Begin) -> None:
        self._begun = operation

    def _adjust(self, here: Tree, operation: Adjust) -> None:
        file = self._child(here, operation.item.name)
        if isinstance(file, File):
            file.item = msgspec.structs.replace(operation.item, link=file.item.link)
            file.changed = True

    def _remove(self, here: Tree, operation: Remove) -> None:
        self._set(here, operation.name, None)

    def _finish(self, here: Tree, operation: Finish) -> None:
        here.item = operation.item

    def _end(self, here: Tree, operation: End | Abort) -> None:
        begun, self._begun = self._begun, None
        if begun is None or (isinstance(operation, Abort) and not begun.in_place):
            return
        file = self._child(here, begun.name) if begun.in_place else None
        if isinstance(operation, End):
            item = operation.item
        elif isinstance(file, File):
            item = msgspec.structs.replace(file.item, mtime_ns=UNSURE)
        else:
            return
        if isinstance(file, File):
            file.item = msgspec.structs.replace(item, link=file.item.link)
            file.origin, file.changed = None, True
        else:
            self._set(here, begun.name, File(_unlinked(item)))

    def _link(self, here: Tree, operation: Link) -> None:
        file = self._materialized(components(operation.path))
        if not isinstance(file, File):
            return
        if not file.item.link:
            self._linked += 1
            file.item = msgspec.structs.replace(file.item, link=self._linked)
            self._links[self._linked] = file
        file.changed = True
        self._set(here, operation.name, file)

    def _move(self, operation: Moves) -> None:
        """As ``apply.moving`` does it: all of them away, the deepest first, then to their places."""
        pairs = [(components(old), components(new)) for old, new in operation.pairs]
        taken: dict[int, File | Tree] = {}
        for number in sorted(range(len(pairs)), key=lambda number: -len(pairs[number][0])):
            old = pairs[number][0]
            above, node = self._materialized(old[:-1]), self._materialized(old)
            if isinstance(above, Tree) and node is not None:
                self._set(above, old[-1], None)
                _stamp(above)
                taken[number] = node
        for number in sorted(sorted(taken), key=lambda number: len(pairs[number][1])):
            new = pairs[number][1]
            above = self._materialized(new[:-1])
            if isinstance(above, Tree):
                self._set(above, new[-1], taken[number])
                _stamp(above)

    def _find(self, parts: list[bytes]) -> Tree | File | bytes | None:
        """What will be at a path; the path where it is now when nothing is known about it."""
        here: Tree | File | None = self._root
        for number, name in enumerate(parts):
            if not isinstance(here, Tree):
                return None
            if name not in here.names:
                return None if here.origin is None else _join(here.origin, parts[number:])
            here = here.names[name]
        return here

    def _materialized(self, parts: list[bytes]) -> Tree | File | None:
        """What will be at a path, taken into the tree."""
        here: Tree | File | None = self._root
        for name in parts:
            if not isinstance(here, Tree):
                return None
            here = self._child(here, name)
        return here

    def _child(self, here: Tree, name: bytes) -> Tree | File | None:
        if name in here.names or here.origin is None:
            return here.names.get(name)
        path = _join(here.origin, [name])
        item = self._look(path)
        if item is None:
            return None
        node: Tree | File
        if item.kind == stat.S_IFDIR:
            node = Tree(item, path)
        else:
            node = self._links.get(item.link) or File(item, path, changed=False)
            if item.link:
                self._links[item.link] = node
        self._set(here, name, node)
        return node

    def _set(self, here: Tree, name: bytes, node: Tree | File | None) -> None:
        self.names += name not in here.names
        here.names[name] = node


def _stamp(tree: Tree) -> None:
    """A directory gets new times with no Finish after it in its epoch: that it needs one is for the next."""
    if tree.item is not None:
        tree.item = msgspec.structs.replace(tree.item, mtime_ns=UNSURE)


def _unlinked(item: Item) -> Item:
    """An item that the source sent: its link number means nothing here."""
    return msgspec.structs.replace(item, link=0)


def _join(path: bytes, names: list[bytes]) -> bytes:
    return b"/".join([path, *names] if path else names)
