"""Whatever stands in the files: no failover stops for it, and a second run changes nothing."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dtesx.boot.network.check import check
from dtesx.boot.network.rewrite import rewrite
from dtesx.boot.network.survey import members, survey
from dtesx.model.wiring import Wiring
from tests.unit.boot.network.test_check import BONDS
from tests.unit.boot.network.trees import ALL, ELSEWHERE, IPV4_ONLY, MAC_OLD, wiring

GIVEN = wiring("eth0", "eth1", {"eth0": ELSEWHERE, "bond0": IPV4_ONLY})
KEYS = st.sampled_from(
    [
        "network",
        "ethernets",
        "bonds",
        "vlans",
        "eth0",
        "bond0",
        "match",
        "set-name",
        "addresses",
        "routes",
        "nameservers",
        "interfaces",
        "link",
        "parameters",
        "mode",
        "driver",
        "macaddress",
        "name",
        "to",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["eth0", "i40e", MAC_OLD, "default", "*"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)
ENTRIES = st.dictionaries(KEYS, VALUES, max_size=5)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["ethernets", "bonds", "bridges", "vlans", "version"]),
    st.dictionaries(st.sampled_from(["eth0", "bond0", "a"]), ENTRIES, max_size=3) | VALUES,
).map(lambda document: {"network": document})
LINES = sorted(
    {line for files, _, _ in ALL.values() for text in files.values() for line in text.splitlines(True)}
)
PATHS = sorted({path for files, _, _ in ALL.values() for path in files if "netplan" not in path})


def settled(files: dict[str, str]) -> None:
    once = rewrite(files, GIVEN)
    assert rewrite(once.files, GIVEN).files == once.files
    assert check(files, GIVEN)


@settings(deadline=None, max_examples=50)
@example({"network": {"bonds": {"eth0": {"addresses": []}}, "ethernets": {"eth0": {"addresses": []}}}}, False)
@given(DOCUMENTS | VALUES, st.booleans())
def test_any_yaml(document: object, flow: bool) -> None:
    settled({"/etc/netplan/a.yaml": yaml.safe_dump(document, default_flow_style=flow or None)})


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(PATHS), st.lists(st.sampled_from(LINES)).map("".join), max_size=4))
def test_any_lines(files: dict[str, str]) -> None:
    settled(files)


@pytest.mark.parametrize("stack", BONDS)
def test_bonds_keep_their_members_when_they_get_addresses(stack: str) -> None:
    given = wiring("eth0", "eth1", {"bond0": ELSEWHERE, "vlan7": IPV4_ONLY})
    once = rewrite(BONDS[stack], given)
    assert once.unwritten == ()
    described = survey(once.files)
    assert members(described, "bond0") == ("eth0", "eth1")
    assert members(described, "vlan7") == ("bond0",)
    assert rewrite(once.files, given) == once
    for address in (*ELSEWHERE.addresses, *IPV4_ONLY.addresses):
        assert any(address.partition("/")[0] in text for text in once.files.values())


def test_netplan_adds_up_its_files_and_one_has_the_addresses() -> None:
    first, last = "/etc/netplan/10-a.yaml", "/etc/netplan/20-b.yaml"
    files = {
        first: "network:\n ethernets:\n  eth0:\n   addresses: [192.0.2.1/24]\n   mtu: 1400\n",
        last: "network:\n ethernets:\n  eth0:\n   gateway4: 192.0.2.254\n",
    }
    given = Wiring(addressing={"eth0": IPV4_ONLY})
    once = rewrite(files, given).files
    assert once[first] == "network:\n ethernets:\n  eth0:\n   mtu: 1400\n"
    assert yaml.safe_load(once[last])["network"]["ethernets"]["eth0"]["addresses"] == ["10.9.0.5/24"]
    assert rewrite(once, given).files == once
