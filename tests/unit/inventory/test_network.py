from __future__ import annotations

import json
from typing import Any

import pytest

from dtesx.inventory.network import parse_nics
from dtesx.inventory.system import parse_os_release


def link(name: str, kind: str = "", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"ifname": name, "link_type": "ether", "address": "02:00:00:00:00:0A"}
    if kind:
        found["linkinfo"] = {"info_kind": kind}
    return found | more


@pytest.mark.parametrize(
    ("found", "is_card"),
    [
        (link("eth0"), True),
        (link("enp0s3"), True),
        (link("eth0", "veth"), True),
        (link("ens192", "veth"), True),
        (link("veth12ab", "veth"), False),
        (link("docker0", "bridge"), False),
        (link("bond0", "bond"), False),
        (link("eth0.5", "vlan"), False),
        (link("lo", link_type="loopback"), False),
        (link("tun0", "tun", link_type="none"), False),
        (link("eth0", address=""), False),
    ],
)
def test_cards(found: dict[str, Any], is_card: bool) -> None:
    assert [nic.name for nic in parse_nics(json.dumps([found]), "")] == ([found["ifname"]] if is_card else [])


def test_addresses_and_gateways_of_both_families() -> None:
    addresses = [
        {"local": "192.0.2.5", "prefixlen": 24, "scope": "global"},
        {"local": "2001:db8::5", "prefixlen": 64, "scope": "global"},
        {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
        {},
    ]
    routes = (
        '[{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},{"dst":"default","dev":"eth1"}]\n'
        '[{"dst":"default","gateway":"fe80::ff","dev":"eth0"}]'
    )
    (nic,) = parse_nics(json.dumps([link("eth0", addr_info=addresses)]), routes)
    assert nic.mac == "02:00:00:00:00:0a"
    assert nic.addresses == ("192.0.2.5/24", "2001:db8::5/64")
    assert nic.gateways == ("192.0.2.1", "fe80::ff")


def test_a_bonds_member_keeps_its_own_mac() -> None:
    (nic,) = parse_nics(json.dumps([link("eth1", permaddr="02:00:00:00:00:0B")]), "")
    assert nic.mac == "02:00:00:00:00:0b"


def test_os_release() -> None:
    found = parse_os_release("ID=rocky\nVERSION_ID=\"9.4\"\nPRETTY_NAME='Rocky Linux 9.4'\n# ID=no\n\n")
    assert (found.id, found.version, found.pretty) == ("rocky", "9.4", "Rocky Linux 9.4")
    assert parse_os_release("").id == "linux"
