from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.model.location import TargetUrl, checked_set_name, parse_listen, parse_target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dtesx://10.1.0.2:1600/www", TargetUrl("10.1.0.2", 1600, "www")),
        ("dtesx://target/www", TargetUrl("target", 1500, "www")),
        ("dtesx://[fd00::2]:1600/www", TargetUrl("fd00::2", 1600, "www")),
        ("dtesx://target/two%20words", TargetUrl("target", 1500, "two words")),
        ("dtesx://target/gr%C3%B6%C3%9Fe", TargetUrl("target", 1500, "größe")),
    ],
)
def test_places(text: str, expected: TargetUrl) -> None:
    assert parse_target(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "www",
        "https://target/www",
        "dtesx:///www",
        "dtesx://target",
        "dtesx://target/",
        "dtesx://target/..",
        "dtesx://target/a/b",
        "dtesx://target/%2e%2e",
        "dtesx://target/%2Fetc",
        "dtesx://target/a%00b",
        "dtesx://target/%ff",
        "dtesx://target:65536/www",
        "dtesx://target:x/www",
        "dtesx://user@target/www",
        "dtesx://target/www?x",
        "dtesx://target/www#x",
    ],
)
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_target(text)


@given(st.text(max_size=300))
def test_a_good_name_is_a_directory_of_its_own(name: str) -> None:
    try:
        checked_set_name(name)
    except ValueError:
        return
    assert name.isprintable()
    assert not set(name) & set("./\\")
    assert 0 < len(name.encode()) <= 255


def test_an_endpoint_can_be_pasted_again() -> None:
    assert parse_target("dtesx://[fd00::2]/www").endpoint == "[fd00::2]:1500"
    assert parse_listen("[::]:1500") == ("::", 1500)
    assert parse_listen("0.0.0.0:0") == ("0.0.0.0", 0)


@pytest.mark.parametrize("text", ["", "1500", ":1500", "host", "host:", "a@host:1", "host:1/x", "host:99999"])
def test_what_is_no_place_to_listen(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_listen(text)
