"""Trees of the distributions before and after; what is not about the network's cards stays bytewise."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import pytest

from dtesx.boot.network.rewrite import rewrite
from dtesx.model.replica import AddressSpec
from dtesx.model.wiring import Card, Wiring
from tests.unit.boot.network import trees
from tests.unit.boot.network.trees import ELSEWHERE, IPV4_ONLY, MAC_NEW, MAC_OLD, SECOND_NEW, wiring


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The lines removed and added, without what is written for every card."""
    lines: list[str] = []
    for path in sorted({*before, *after}):
        if "/10-dtesx-" not in path:
            old, new = (files.get(path, "").splitlines() for files in (before, after))
            changes = difflib.unified_diff(old, new, lineterm="", n=0)
            lines += [line for line in changes if not line.startswith(("---", "+++", "@@"))]
    return lines


@pytest.mark.parametrize("name", trees.ALL)
@pytest.mark.parametrize("wanted", [None, ELSEWHERE, IPV4_ONLY])
def test_a_second_run_changes_nothing(name: str, wanted: AddressSpec | None) -> None:
    files, first, second = trees.ALL[name]
    given = wiring(first, second, {first: wanted} if wanted else {})
    once = rewrite(files, given)
    assert once.unwritten == ()
    assert rewrite(once.files, given) == once


@pytest.mark.parametrize("name", trees.ALL)
def test_no_old_mac_stays_and_each_card_has_its_name(name: str) -> None:
    files, first, second = trees.ALL[name]
    after = rewrite(files, wiring(first, second)).files
    assert not any(MAC_OLD in text.lower() for text in after.values())
    links = [text for path, text in after.items() if path.endswith(".link")]
    for card in wiring(first, second).cards:
        assert sum(f"Name={card.name}\n" in text and card.mac in text for text in links) == 1


@pytest.mark.parametrize("name", ["debian 12", "debian 11 bond", "ubuntu 22.04"])
def test_what_names_no_hardware_stays_bytewise(name: str) -> None:
    files, first, second = trees.ALL[name]
    assert difference(files, rewrite(files, wiring(first, second)).files) == []


def test_a_mac_keeps_its_spelling() -> None:
    changed = difference(trees.ALMA_8, rewrite(trees.ALMA_8, wiring("ens192")).files)
    assert changed == [f'-HWADDR="{MAC_OLD.upper()}"', f'+HWADDR="{MAC_NEW.upper()}"']


def test_bonds_find_their_members() -> None:
    after = rewrite(trees.UBUNTU_BOND, wiring("eno1", "eno2")).files
    text = after["/etc/netplan/01-net.yaml"]
    assert f'macaddress: "{MAC_NEW}"}}, set-name: eno1' in text
    assert f'macaddress: "{SECOND_NEW.upper()}"}}, set-name: eno2' in text
    assert f"macaddress: {MAC_NEW}\n" in text


def test_ifupdown_gets_addresses() -> None:
    given = Wiring((), addressing={"ens192": ELSEWHERE}, source_addresses={"ens192": ("192.0.2.10/24",)})
    assert difference(trees.DEBIAN_12, rewrite(trees.DEBIAN_12, given).files) == [
        "-192.0.2.10\talpha.example.org alpha",
        "+10.9.0.5\talpha.example.org alpha",
        "-\taddress 192.0.2.10/24",
        "-\tgateway 192.0.2.1",
        "+\taddress 10.9.0.5/24",
        "+\tgateway 10.9.0.1",
        "+\tdns-nameservers 10.9.0.53 2001:db8:9::53",
        "-\tdns-nameservers 192.0.2.53",
        "+iface ens192 inet static",
        "+\taddress 10.9.0.6/24",
        "-iface ens192 inet6 auto",
        "+iface ens192 inet6 static",
        "+    address 2001:db8:9::5/64",
        "+    gateway 2001:db8:9::1",
        "-nameserver 192.0.2.53",
        "+nameserver 10.9.0.53",
        "+nameserver 2001:db8:9::53",
    ]


def test_ifupdown_keeps_a_bond_and_loses_its_alias() -> None:
    given = wiring("eno1", "eno2", {"bond0": IPV4_ONLY})
    assert difference(trees.DEBIAN_11_BOND, rewrite(trees.DEBIAN_11_BOND, given).files) == [
        "-auto bond0 bond0:1",
        "+auto bond0",
        "-    address 192.0.2.10",
        "-    netmask 255.255.255.0",
        "-    gateway 192.0.2.1",
        "+    address 10.9.0.5/24",
        "+    gateway 10.9.0.1",
        "+    dns-nameservers 10.9.0.53",
        "-iface bond0:1 inet static",
        "-    address 192.0.2.11/24",
    ]


def test_netplan_gets_addresses_and_keeps_all_else() -> None:
    after = rewrite(trees.UBUNTU_2204, wiring("ens192", addressing={"ens192": ELSEWHERE})).files
    (path,) = trees.UBUNTU_2204
    assert (
        after[path]
        == """\
# This is the network config written by 'subiquity'
network:
  ethernets:
    ens160:
      dhcp4: true   # by the installer

    ens192:
      dhcp4: false
      dhcp6: false
      addresses: [10.9.0.5/24, 10.9.0.6/24, '2001:db8:9::5/64']
      routes: [{to: 0.0.0.0/0, via: 10.9.0.1}, {to: '::/0', via: '2001:db8:9::1'}, \
{to: 198.51.100.0/24, via: 192.0.2.9}]
      nameservers: {addresses: [10.9.0.53, '2001:db8:9::53'], search: [example.org]}
      mtu: 9000
  version: 2
"""
    )


def test_netplan_flow_and_block_entries_side_by_side() -> None:
    given = wiring("eno1", "eno2", {"bond0": IPV4_ONLY, "bond0.7": AddressSpec(("10.7.0.2/24",))})
    after = rewrite(trees.UBUNTU_BOND, given).files["/etc/netplan/01-net.yaml"]
    assert "      addresses: [10.9.0.5/24]\n      routes: [{to: 0.0.0.0/0, via: 10.9.0.1}]\n" in after
    assert "gateway4" not in after
    assert (
        "    bond0.7: {id: 7, link: bond0, dhcp4: false, dhcp6: false, addresses: [10.7.0.2/24]}\n" in after
    )


def test_keyfiles_get_addresses() -> None:
    after = rewrite(trees.ROCKY_9, wiring("ens192", addressing={"ens192": ELSEWHERE})).files
    assert difference(trees.ROCKY_9, after) == [
        f"-mac-address={MAC_OLD.upper()}",
        f"+mac-address={MAC_NEW.upper()}",
        "-address1=192.0.2.10/24,192.0.2.1",
        "-dns=192.0.2.53;",
        "+address1=10.9.0.5/24",
        "+address2=10.9.0.6/24",
        "+gateway=10.9.0.1",
        "+dns=10.9.0.53;",
        "+method=manual",
        "-method=manual",
        "-method=auto",
        "+address1=2001:db8:9::5/64",
        "+gateway=2001:db8:9::1",
        "+dns=2001:db8:9::53;",
        "+method=manual",
    ]


def test_ifcfg_gets_addresses_and_loses_its_alias() -> None:
    after = rewrite(trees.ALMA_8, wiring("ens192", addressing={"ens192": ELSEWHERE})).files
    assert "/etc/sysconfig/network-scripts/ifcfg-ens192:1" not in after
    text = after["/etc/sysconfig/network-scripts/ifcfg-ens192"]
    for line in (
        "BOOTPROTO=none\nIPADDR=10.9.0.5\nPREFIX=24\nIPADDR1=10.9.0.6\nPREFIX1=24\nGATEWAY=10.9.0.1\n",
        "IPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6ADDR=2001:db8:9::5/64\nIPV6_DEFAULTGW=2001:db8:9::1\n",
        "DNS1=10.9.0.53\nDNS2=2001:db8:9::53\n",
    ):
        assert line in text
    assert "192.0.2" not in text
    assert after["/etc/sysconfig/network"] == "# Created by anaconda\nNOZEROCONF=yes\n"


def test_wicked_gets_addresses_routes_and_name_servers() -> None:
    after = rewrite(trees.SLES_15, wiring("eth0", addressing={"eth0": ELSEWHERE})).files
    directory = "/etc/sysconfig/network"
    assert after[f"{directory}/ifcfg-eth0"] == (
        "BOOTPROTO='static'\nIPADDR='10.9.0.5/24'\nIPADDR_1='10.9.0.6/24'\nIPADDR_2='2001:db8:9::5/64'\n"
        "STARTMODE='auto'\nZONE=''\n"
    )
    assert after[f"{directory}/routes"] == "198.51.100.0/24 192.0.2.9 - eth0\n"
    assert after[f"{directory}/ifroute-eth0"] == "default 10.9.0.1 - eth0\ndefault 2001:db8:9::1 - eth0\n"
    assert 'NETCONFIG_DNS_STATIC_SERVERS="10.9.0.53 2001:db8:9::53"\n' in after[f"{directory}/config"]
    rules = after["/etc/udev/rules.d/70-persistent-net.rules"].splitlines()
    assert MAC_NEW in rules[0]
    assert rules[1].startswith("# not on this machine (dtesx): SUBSYSTEM")


def test_networkd_gets_addresses() -> None:
    after = rewrite(trees.NETWORKD, wiring("lan0", addressing={"lan0": IPV4_ONLY})).files
    assert (
        after["/etc/systemd/network/20-wired.network"]
        == f"""\
[Match]
PermanentMACAddress={MAC_NEW}

[Network]
DHCP=no
Address=10.9.0.5/24
Gateway=10.9.0.1
DNS=10.9.0.53
Domains=example.org
VLAN=tagged

[Route]
Destination=198.51.100.0/24
Gateway=192.0.2.9

"""
    )


def test_networkd_for_several_interfaces_gets_a_copy_for_one() -> None:
    text = "[Match]\nName=en*\n\n[Network]\nDHCP=yes\nLLDP=yes\n"
    path = "/etc/systemd/network/20-all.network"
    given = wiring("ens3", addressing={"ens3": IPV4_ONLY})
    after = rewrite({path: text}, given).files
    assert after[path] == text
    copy = after["/etc/systemd/network/00-dtesx-ens3.network"]
    assert "[Match]\nName=ens3\n" in copy
    assert "DHCP=no\nAddress=10.9.0.5/24\nGateway=10.9.0.1\nDNS=10.9.0.53\nLLDP=yes\n" in copy
    assert rewrite(after, given).files == after


def test_netplan_for_several_interfaces_is_told() -> None:
    path = "/etc/netplan/a.yaml"
    text = "network: {ethernets: {all: {match: {name: 'en*'}, dhcp4: true}}}\n"
    after = rewrite({path: text}, wiring("ens3", addressing={"ens3": IPV4_ONLY}))
    assert after.files[path] == text
    assert after.unwritten == (
        f"ens3 keeps the source's addresses: {path} configures ens3 together with other cards by a pattern",
    )


def test_an_own_link_file_that_names_the_card_is_enough() -> None:
    after = rewrite(trees.NETWORKD, wiring("lan0")).files
    assert not any("10-dtesx" in path for path in after)
    assert "MTUBytes=9000" in after["/etc/systemd/network/70-lan.link"]


def test_names_of_an_earlier_failover_go() -> None:
    stale = "/etc/systemd/network/10-dtesx-ens9.link"
    after = rewrite({stale: "from an earlier failover"}, wiring("eth0")).files
    assert set(after) == {"/etc/systemd/network/10-dtesx-eth0.link"}


def test_where_link_names_are_switched_off_a_rule_names_the_card() -> None:
    after = rewrite({"/etc/udev/rules.d/80-net-setup-link.rules": ""}, wiring("eth0")).files
    rules = after["/etc/udev/rules.d/70-dtesx-net.rules"]
    assert f'ATTR{{address}}=="{MAC_NEW}"' in rules
    assert 'NAME="eth0"' in rules


@pytest.mark.parametrize(
    ("mac", "name"), [("00:50", "eth0"), (MAC_NEW, "a/b"), (MAC_NEW, ""), (MAC_NEW, "x" * 16)]
)
def test_what_is_no_interface_is_refused(mac: str, name: str) -> None:
    with pytest.raises(ValueError, match="not a network interface"):
        Card(name, mac)


def test_two_cards_with_one_mac_are_refused() -> None:
    with pytest.raises(ValueError, match="two network interfaces"):
        Wiring((Card("eth0", MAC_NEW, MAC_OLD), Card("eth1", MAC_OLD, SECOND_NEW)))
