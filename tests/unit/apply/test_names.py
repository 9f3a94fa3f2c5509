from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.apply.names import check_name, components
from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import TEMPORARY_PREFIX


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b"a/b", b"/", b"a\0", b"x" * 256, TEMPORARY_PREFIX, TEMPORARY_PREFIX + b"1"]
)
def test_impossible_names(name: bytes) -> None:
    with pytest.raises(ProtocolError):
        check_name(name)


@pytest.mark.parametrize("name", [b"...", b"-", b" ", b"\xff", b"a\n", b"x" * 255, b".dtesx-tmp"])
def test_odd_but_possible_names(name: bytes) -> None:
    assert check_name(name) == name


@given(st.binary(max_size=300))
def test_no_checked_path_leaves_its_root(path: bytes) -> None:
    try:
        parts = components(path)
    except ProtocolError:
        return
    assert b"/".join(parts) == path
    assert not {b"", b".", b".."} & set(parts)
    assert b"\0" not in path
