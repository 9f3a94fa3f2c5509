from __future__ import annotations

from dtesx.capture.changes import Changes


def test_changes_that_say_nothing_are_false() -> None:
    assert not Changes()
    assert Changes(lost=True)
    assert Changes(names={b"": {b"a"}})
