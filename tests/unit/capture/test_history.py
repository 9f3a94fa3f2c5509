"""Where renamed things were, against a model of a file system and of the kernel's queue of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, KeysView

from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.capture.events import CREATE, DELETE, ON_DIRECTORY, RENAME, Entry, Event
from dtesx.capture.history import History, Move, moves

TOP = b"0"
NAMES = (b"a", b"b", b"c")
_MERGED = CREATE | DELETE


class Disk:
    """Directories by their places, each with the places of its names; and a queue that joins events."""

    def __init__(self) -> None:
        self.tree: dict[bytes, dict[bytes, bytes]] = {TOP: {}}
        self.queue: list[Event] = []
        self.renamed: set[bytes] = set()
        self.linked: set[bytes] = set()
        self.replaced = False
        self._made = 0

    def make(self, parent: bytes, name: bytes, *, directory: bool) -> None:
        if name in self.tree[parent]:
            return
        self._made += 1
        place = b"%d" % self._made
        if directory:
            self.tree[place] = {}
        self.tree[parent][name] = place
        self._tell(CREATE, [(parent, name)], place)

    def link(self, old: Entry, new: Entry) -> None:
        place = self.tree[old[0]].get(old[1])
        if place is None or place in self.tree or new[1] in self.tree[new[0]]:
            return
        self.tree[new[0]][new[1]] = place
        self.linked.add(place)
        self._tell(CREATE, [new], place)

    def remove(self, parent: bytes, name: bytes) -> None:
        place = self.tree[parent].get(name)
        if place is None or self.tree.get(place):
            return
        del self.tree[parent][name]
        self._tell(DELETE, [(parent, name)], place)
        self.tree.pop(place, None)

    def rename(self, old: Entry, new: Entry) -> None:
        place, there = self.tree[old[0]].get(old[1]), self.tree[new[0]].get(new[1])
        if place is None or place == there or self._inside(place, new[0]):
            return
        if there is not None and ((place in self.tree) != (there in self.tree) or self.tree.get(there)):
            return
        self._tell(RENAME, [old, new], place)
        del self.tree[old[0]][old[1]]
        self.tree[new[0]][new[1]] = place
        if self.tree.pop(there or b"", None) is not None:
            self.replaced = True  # no event tells which directory is gone

    def exchange(self, one: Entry, other: Entry) -> None:
        first, second = self.tree[one[0]].get(one[1]), self.tree[other[0]].get(other[1])
        if first is None or second is None or first == second:
            return
        if self._inside(first, other[0]) or self._inside(second, one[0]):
            return
        self._tell(RENAME, [one, other], first)
        self._tell(RENAME, [other, one], second)
        self.tree[one[0]][one[1]], self.tree[other[0]][other[1]] = second, first

    def paths(self, root: bytes = TOP) -> dict[bytes, set[bytes]]:
        """The paths of all things below a directory."""
        found: dict[bytes, set[bytes]] = {}
        for path, place in self._walk(root, b""):
            found.setdefault(place, set()).add(path)
        return found

    def entry(self, place: bytes) -> Entry | None:
        for parent, names in self.tree.items():
            for name, there in names.items():
                if there == place:
                    return parent, name
        return None

    def _walk(self, parent: bytes, path: bytes) -> Iterator[tuple[bytes, bytes]]:
        for name, place in self.tree.get(parent, {}).items():
            yield path + name, place
            yield from self._walk(place, path + name + b"/")

    def _inside(self, place: bytes, directory: bytes) -> bool:
        while directory != place:
            above = self.entry(directory)
            if above is None:
                return False
            directory = above[0]
        return True

    def _tell(self, mask: int, entries: list[Entry], place: bytes) -> None:
        if mask & RENAME:
            self.renamed.add(place)
        mask |= ON_DIRECTORY if place in self.tree else 0
        for number, (other, pid, known, thing) in enumerate(self.queue):
            if (known, thing) == (entries, place) and (mask | _MERGED) == (other | _MERGED):
                self.queue[number] = other | mask, pid, known, thing
                return
        self.queue.append((mask, 1, entries, place))


class Reading:
    """The disk as it is read, while ``meanwhile`` goes on."""

    def __init__(self, disk: Disk, root: bytes, meanwhile: Callable[[], None]) -> None:
        self.root = root
        self._disk = disk
        self._meanwhile = meanwhile
        self._known: dict[bytes, Entry | None] = {}

    @property
    def known(self) -> KeysView[bytes]:
        return self._known.keys()

    def entry(self, directory: bytes) -> Entry | None:
        if directory not in self._known:
            self._meanwhile()
            self._known[directory] = self._disk.entry(directory)
        return self._known[directory]

    def holds(self, entry: Entry, file: bytes) -> bool:
        self._meanwhile()
        return self._disk.tree.get(entry[0], {}).get(entry[1]) == file

    def settle(self) -> None:
        self._meanwhile()


def _collected(disk: Disk, history: History) -> History:
    for event in disk.queue:
        history.note(event, told=True)
    disk.queue.clear()
    return history


_Act = tuple[str, int, int, bytes]
acts: st.SearchStrategy[_Act] = st.tuples(
    st.sampled_from(("make", "make directory", "remove", "link", *3 * ("exchange", "rename", "rename"))),
    st.integers(0, 20),
    st.integers(0, 20),
    st.sampled_from(NAMES),
)
histories = st.lists(acts, max_size=8)


def _act(disk: Disk, act: _Act) -> None:
    kind, first, second, name = act
    entries = [(parent, name) for parent, names in disk.tree.items() for name in names]
    directories = list(disk.tree)
    here = entries[first % len(entries)] if entries else (TOP, NAMES[0])
    there = directories[second % len(directories)], name
    if kind.startswith("make"):
        disk.make(*there, directory=kind == "make directory")
    elif kind == "remove":
        disk.remove(*here)
    elif kind == "link":
        disk.link(here, there)
    elif kind == "rename":
        disk.rename(here, there)
    else:
        disk.exchange(here, entries[second % len(entries)] if entries else here)


def _filled() -> Disk:
    """a, a/a, a/a/a, a/b, b, b/a and files c in all of them."""
    disk = Disk()
    places = [TOP]
    for above, name in ((0, b"a"), (1, b"a"), (2, b"a"), (1, b"b"), (0, b"b"), (5, b"a")):
        disk.make(places[above], name, directory=True)
        places.append(disk.tree[places[above]][name])
    for place in places:
        disk.make(place, b"c", directory=False)
    return disk


@settings(max_examples=1500)
@given(histories, histories, histories, st.data())
def test_what_is_told_was_there_before_and_is_there_now(
    first: list[_Act], during: list[_Act], later: list[_Act], data: st.DataObject
) -> None:
    disk = _filled()
    for act in first:
        _act(disk, act)
    disk.queue.clear()
    disk.renamed.clear()
    disk.linked.clear()
    disk.replaced = False
    root: bytes = data.draw(st.sampled_from(sorted(disk.tree)))
    before, everywhere = disk.paths(root), disk.paths()
    history = History()
    for act in during:
        _act(disk, act)
        collect: bool = data.draw(st.booleans())
        if collect:
            _collected(disk, history)
    _collected(disk, history)
    after, renamed, certain = disk.paths(root), set(disk.renamed), not disk.linked and not disk.replaced

    def meanwhile() -> None:
        for _ in range(data.draw(st.integers(0, 2))):
            if later:
                _act(disk, later.pop())

    quiet, afterwards = not later, History()
    found = moves(history, Reading(disk, root, meanwhile), lambda: _collected(disk, afterwards))

    things = [_thing(move, before, after) for move in found]
    assert len(set(things)) == len(things)
    if quiet and certain:
        for place in renamed & before.keys() & after.keys():
            if before[place] != after[place] and len(everywhere[place]) == 1:
                assert place in things


def _thing(move: Move, before: dict[bytes, set[bytes]], after: dict[bytes, set[bytes]]) -> bytes:
    """What was at the old path before and is at the new one after."""
    old, new = move
    assert old != new
    (place,) = (place for place, paths in before.items() if old in paths)
    assert new in after[place]
    return place


def test_a_file_that_is_renamed_again_while_it_is_looked_for_is_told_where_it_was_at_the_drain() -> None:
    disk = Disk()
    disk.make(TOP, b"a", directory=False)
    disk.queue.clear()
    for old, new in ((b"a", b"b"), (b"b", b"c")):
        disk.rename((TOP, old), (TOP, new))
    history, later = _collected(disk, History()), History()
    again = [(TOP, b"c"), (TOP, b"b")]

    def meanwhile() -> None:
        if again:
            disk.rename(again.pop(0), again.pop(0))

    assert moves(history, Reading(disk, TOP, meanwhile), lambda: _collected(disk, later)) == [(b"a", b"c")]


def test_what_is_in_a_directory_that_came_with_it_was_nowhere_before() -> None:
    # A snapshot of a subvolume is made with all that is in it.
    disk = Disk()
    disk.make(TOP, b"a", directory=True)
    snapshot = disk.tree[TOP][b"a"]
    disk.tree[snapshot][b"b"] = b"inside"
    disk.rename((snapshot, b"b"), (TOP, b"b"))
    tree = Reading(disk, TOP, lambda: None)
    assert moves(_collected(disk, History()), tree, History) == []


def test_an_overflow_meanwhile_leaves_everything_out() -> None:
    disk = Disk()
    disk.make(TOP, b"a", directory=True)
    disk.queue.clear()
    disk.rename((TOP, b"a"), (TOP, b"b"))
    history, tree = _collected(disk, History()), Reading(disk, TOP, lambda: None)
    assert moves(history, tree, lambda: None) == []
    assert moves(history, tree, History) == [(b"a", b"b")]
