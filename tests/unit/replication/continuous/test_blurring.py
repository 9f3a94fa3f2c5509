"""However much changed, what is kept of it covers all that changed."""

from __future__ import annotations

import copy
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.changes import ANYTHING, Changes, Touch
from dtesx.replication.continuous.blurring import blur, weight

NAMES = st.sampled_from([b"a", b"b", b"c", b"name"])
PATHS = st.lists(NAMES, max_size=4).map(b"/".join)
TOUCHES = st.sampled_from([Touch.METADATA, Touch.CONTENT, Touch.METADATA | Touch.APPEARED, ANYTHING])


@st.composite
def changes(draw: st.DrawFn) -> Changes:
    found = Changes(draw(st.dictionaries(PATHS, st.dictionaries(NAMES, TOUCHES, min_size=1), max_size=12)))
    for directory, names in found.names.items():
        for name, touch in names.items():
            if Touch.CONTENT in touch and draw(st.booleans()):
                count = draw(st.integers(1, 20))
                path = directory + b"/" + name if directory else name
                found.spans[path] = tuple((2 * at, 2 * at + 1) for at in range(count))
    return found


def stands_for(result: Changes, path: bytes) -> bool:
    """Whether one of the directories above a path, or the path itself, is looked at with all below it."""
    while path:
        directory, _, name = path.rpartition(b"/")
        if result.names.get(directory, {}).get(name, Touch(0)) & ANYTHING == ANYTHING:
            return True
        path = directory
    return False


def covers(result: Changes, directory: bytes, name: bytes, before: Changes) -> bool:
    path = directory + b"/" + name if directory else name
    if result.everything or stands_for(result, path):
        return True
    touch = before.names[directory][name]
    return (
        result.names.get(directory, {}).get(name, Touch(0)) & touch == touch
        and result.spans.get(path, before.spans.get(path)) == before.spans.get(path)
        and (path in before.spans or path not in result.spans)
    )


@given(changes(), st.integers(0, 6000))
def test_what_is_blurred_covers_what_was_known_and_fits(found: Changes, limit: int) -> None:
    result = copy.deepcopy(found)
    blur(result, limit)
    assert weight(result) <= limit
    for directory, names in found.names.items():
        for name in names:
            assert covers(result, directory, name, found)


@given(changes())
def test_what_fits_stays_as_it_is(found: Changes) -> None:
    result = copy.deepcopy(found)
    blur(result, weight(found))
    assert result == found


def test_a_full_directory_is_given_up_before_those_around_it() -> None:
    found = Changes({b"": {b"x": Touch.CONTENT}, b"few": {b"f": Touch.CONTENT}})
    found.names[b"many/here"] = {b"%d" % number: Touch.CONTENT for number in range(5000)}
    blur(found, 10_000)
    assert found.names == {
        b"": {b"x": Touch.CONTENT},
        b"few": {b"f": Touch.CONTENT},
        b"many": {b"here": ANYTHING},
    }
    assert found.blurred
    assert not found.everything


def test_the_weight_is_no_less_than_the_memory() -> None:
    def hints() -> Changes:
        found = Changes()
        for number in range(20_000):
            directory = b"directory-%d" % (number % 700)
            name = b"%040d" % number
            found.touch(directory, name, Touch.METADATA | Touch.CONTENT)
            if not number % 4:
                found.spans[directory + b"/" + name] = tuple(
                    (at * 4096 * 1000, at * 4096 * 1000 + 4096) for at in range(5)
                )
        return found

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        found = hints()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= weight(found) < 3 * taken
