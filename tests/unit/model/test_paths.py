from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.paths import join, split

names = st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name and b"\0" not in name)


@given(st.lists(names, min_size=1))
def test_a_path_is_its_directory_and_its_name(parts: list[bytes]) -> None:
    path = b"/".join(parts)
    assert join(*split(path)) == path
    assert split(path)[1] == parts[-1]


def test_the_root_is_the_nameless_name_in_itself() -> None:
    assert split(b"") == (b"", b"")
    assert join(b"", b"") == b""
