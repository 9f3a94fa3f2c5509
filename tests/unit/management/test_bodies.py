from __future__ import annotations

import json
from typing import Any

import pytest

from dtesx.base.errors import UsageError
from dtesx.management.bodies import convert, encoded, json_body
from dtesx.model.api import NewServer
from dtesx.model.job import JobSpec
from dtesx.model.mirror import Compare

GOOD: dict[str, Any] = {
    "name": "alpha",
    "source": "alpha",
    "vmware": "vc",
    "replica": {"datastore": "ds1", "networks": {"eth0": "VM Network"}},
    "mirror": {"compare": "none", "exclude": ["/var/cache"]},
}


def with_(path: str, value: Any) -> bytes:
    """GOOD with one field changed; a value of None removes it."""
    made = json.loads(json.dumps(GOOD))
    *way, last = path.split(".")
    place = made
    for part in way:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(made).encode()


def test_a_good_body() -> None:
    spec = json_body(json.dumps(GOOD).encode(), JobSpec)
    assert spec.replica.networks == {"eth0": "VM Network"}
    assert spec.mirror.compare is Compare.NONE
    assert spec.mirror.exclude == ("/var/cache",)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (with_("source", None), "missing field `source`"),
        (with_("source", 3), "source: Expected `str`, got `int`"),
        (with_("name", "Alpha!"), "name: 'Alpha!' must be"),
        (with_("replica.sockets", "two"), "replica.sockets: Expected `int`, got `str`"),
        (with_("replica.sockets", 1000), "replica.sockets must be between"),
        (with_("replica.disk_format", "fat"), "replica.disk_format: Invalid enum value 'fat'"),
        (with_("mirror.exclude", ["/a", "b"]), "mirror.exclude: 'b'"),
        (with_("mirror.exclude", [3]), "mirror.exclude[0]: Expected `str`"),
        (b"[]", "Expected `object`, got `array`"),
    ],
)
def test_a_wrong_field_is_named(body: bytes, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        json_body(body, JobSpec)
    assert said in caught.value.message
    assert caught.value.hint


def test_a_misspelt_field_is_not_ignored() -> None:
    with pytest.raises(UsageError) as caught:
        json_body(with_("replica.memroy_mib", 4096), JobSpec)
    assert "replica.memroy_mib" in caught.value.message
    assert "memory_mib" in caught.value.hint


def test_an_unknown_field_far_from_all_others_lists_them() -> None:
    with pytest.raises(UsageError, match="zzzz") as caught:
        convert({"name": "a", "address": "b", "token": "c", "zzzz": 1}, NewServer)
    assert "address" in caught.value.hint


def test_keys_of_plain_mappings_are_free() -> None:
    spec = json_body(with_("replica.networks", {"anything": "goes"}), JobSpec)
    assert spec.replica.networks == {"anything": "goes"}


def test_what_was_decoded_is_sent_on_whole() -> None:
    short = convert({"name": "a", "source": "s", "vmware": "v", "replica": {"datastore": "d"}}, JobSpec)
    said = json.loads(encoded({"jobs": [(short,)]}))["jobs"][0][0]
    assert said["route"] == ""
    assert said["mirror"] == {"compare": "attributes", "exclude": []}
    assert said["replica"]["networks"] == {"*": "VM Network"}
    assert json_body(encoded(short), JobSpec) == short
