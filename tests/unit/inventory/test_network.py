from __future__ import annotations

import json
from typing import Any

import pytest

from dtesx.inventory.network import parse_links, parse_nics
from dtesx.model.network import Link, LinkKind


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
    assert [nic.name for nic in parse_nics(json.dumps([found]), "", {})] == (
        [found["ifname"]] if is_card else []
    )


def test_addresses_and_gateways_of_both_families() -> None:
    addresses = [
        {"local": "192.0.2.5", "prefixlen": 24, "scope": "global"},
        {"local": "2001:db8::5", "prefixlen": 64, "scope": "global"},
        {"local": "2001:db8::abcd", "prefixlen": 64, "scope": "global", "temporary": True, "dynamic": True},
        {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
        {},
    ]
    routes = (
        '[{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},{"dst":"default","dev":"eth1"}]\n'
        '[{"dst":"default","gateway":"fe80::ff","dev":"eth0"}]'
    )
    (nic,) = parse_nics(json.dumps([link("eth0", addr_info=addresses)]), routes, {})
    assert nic.mac == "02:00:00:00:00:0a"
    assert nic.addresses == ("192.0.2.5/24", "2001:db8::5/64")
    assert nic.gateways == ("192.0.2.1", "fe80::ff")


def test_a_bonds_member_keeps_its_own_mac() -> None:
    (nic,) = parse_nics(json.dumps([link("eth1", permaddr="02:00:00:00:00:0B")]), "", {})
    assert nic.mac == "02:00:00:00:00:0b"


def test_what_a_card_tells_of_itself() -> None:
    found = link("ens192", mtu=9000, operstate="UP", master="bond0")
    (nic,) = parse_nics(json.dumps([found, {}]), "", {"ens192": "vmxnet3"})
    assert (nic.driver, nic.mtu, nic.up, nic.master) == ("vmxnet3", 9000, True, "bond0")


def test_a_vlan_on_a_bond_and_a_bridge_on_that() -> None:
    address = {"local": "192.0.2.5", "prefixlen": 24, "scope": "global"}
    links = [
        link("eth0", master="bond0"),
        link("eth1", master="bond0"),
        link("bond0", linkinfo={"info_kind": "bond", "info_data": {"mode": "802.3ad"}}),
        link("bond0.7", master="br7", link="bond0", linkinfo={"info_kind": "vlan", "info_data": {"id": 7}}),
        link("br7", "bridge", addr_info=[address], operstate="UP"),
        link("team0", "team"),
        link("docker0", "bridge"),
        link("veth1", "veth", master="docker0"),
    ]
    mac = "02:00:00:00:00:0a"
    assert parse_links(json.dumps(links), '[{"dst":"default","gateway":"192.0.2.1","dev":"br7"}]') == (
        Link("bond0", LinkKind.BOND, mac, ("eth0", "eth1"), mode="802.3ad"),
        Link("bond0.7", LinkKind.VLAN, mac, ("bond0",), vlan=7, master="br7"),
        Link("br7", LinkKind.BRIDGE, mac, ("bond0.7",), ("192.0.2.5/24",), ("192.0.2.1",), up=True),
    )
