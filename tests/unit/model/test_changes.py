"""Hints that are joined say all that each of them said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.changes import Changes, Touch

_NAMES = st.sampled_from([b"a", b"b", b"c"])
_TOUCHED = st.dictionaries(_NAMES, st.sampled_from([Touch.METADATA, Touch.CONTENT, Touch.APPEARED]))
_CHANGES = st.builds(Changes, st.dictionaries(st.sampled_from([b"", b"d", b"d/e"]), _TOUCHED))


@given(_CHANGES, _CHANGES)
def test_no_hint_is_lost(earlier: Changes, later: Changes) -> None:
    told = [
        (directory, name, touch)
        for changes in (earlier, later)
        for directory, names in changes.names.items()
        for name, touch in names.items()
    ]
    directories = {*earlier.names, *later.names}
    earlier.add(later)
    assert set(earlier.names) == directories, "also those of which nothing but they themselves is told"
    assert all(touch in earlier.names[directory][name] for directory, name, touch in told)
