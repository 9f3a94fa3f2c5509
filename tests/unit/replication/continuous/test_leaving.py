from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.changes import ANYTHING, Changes
from dtesx.replication.continuous.leaving import Without, leave_out

NAMES = st.sampled_from([b"a", b"b", b"ab"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)


class Told:
    """Tells of one set of changes."""

    def __init__(self, **changes: Changes) -> None:
        self._changes = changes

    def drain(self, *, still: bool = False) -> dict[str, Changes]:
        return {f"/{root}".rstrip("_"): some for root, some in self._changes.items()}


def changed(*paths: bytes) -> Changes:
    changes = Changes()
    for path in paths:
        directory, _, name = path.rpartition(b"/")
        changes.touch(directory, name, ANYTHING)
        changes.spans[path] = ((0, 1),)
    return changes


@given(st.lists(PATHS), PATHS)
def test_exactly_what_is_below_is_left_out(paths: list[bytes], path: bytes) -> None:
    changes = changed(*paths)
    leave_out(changes, path)
    stays = [one for one in paths if one != path and not one.startswith(path + b"/")]
    assert changes == changed(*stays)
    assert bool(changes) is bool(stays)


def test_each_root_has_its_own_way_to_the_place() -> None:
    told = Told(
        _=changed(b"var/lib/dtesx/log", b"var/lib/dpkg"),
        var=changed(b"lib/dtesx/log", b"lib/dpkg"),
        srv=changed(b"lib/dtesx/log"),
    )
    found = Without(told, ("/", "/var", "/srv"), "/var/lib/dtesx").drain()
    assert found == {
        "/": changed(b"var/lib/dpkg"),
        "/var": changed(b"lib/dpkg"),
        "/srv": changed(b"lib/dtesx/log"),
    }


def test_what_the_root_says_of_itself_stays() -> None:
    changes = Changes(names={b"": {}})
    leave_out(changes, b"a")
    assert changes.names == {b"": {}}
    assert changes
