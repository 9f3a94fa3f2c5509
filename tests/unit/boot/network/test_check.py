from __future__ import annotations

import pytest

from dtesx.boot.network.check import check
from dtesx.boot.network.rewrite import rewrite
from dtesx.boot.network.survey import members, survey
from dtesx.model.network import LinkKind
from dtesx.model.validation import Check, Verdict
from dtesx.model.wiring import Wiring
from tests.unit.boot.network import trees
from tests.unit.boot.network.trees import IPV4_ONLY, MAC_OLD, wiring

BONDS = {
    "netplan": {
        "/etc/netplan/a.yaml": (
            "network: {ethernets: {a: {match: {name: eth0}}, eth1: {}}, "
            "bonds: {bond0: {interfaces: [a, eth1], parameters: {mode: 802.3ad}}}, "
            "vlans: {vlan7: {id: 7, link: bond0}}}\n"
        )
    },
    "keyfiles": {
        "/etc/NetworkManager/system-connections/bond0": (
            "[connection]\ntype=bond\ninterface-name=bond0\n[bond]\nmode=4\n"
        ),
        "/etc/NetworkManager/system-connections/a": (
            "[connection]\ntype=ethernet\ninterface-name=eth0\nmaster=bond0\nslave-type=bond\n"
        ),
        "/etc/NetworkManager/system-connections/b": (
            "[connection]\ntype=ethernet\ninterface-name=eth1\ncontroller=bond0\n"
        ),
        "/etc/NetworkManager/system-connections/v": (
            "[connection]\ntype=vlan\ninterface-name=vlan7\n[vlan]\nid=7\nparent=bond0\n"
        ),
    },
    "ifcfg": {
        "/etc/sysconfig/network-scripts/ifcfg-bond0": (
            'DEVICE=bond0\nTYPE=Bond\nBONDING_OPTS="mode=802.3ad miimon=100"\n'
        ),
        "/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n",
        "/etc/sysconfig/network-scripts/ifcfg-lan": "DEVICE='eth1'\nMASTER=bond0\nSLAVE=yes\n",
        "/etc/sysconfig/network-scripts/ifcfg-vlan7": "DEVICE=vlan7\nVLAN=yes\nPHYSDEV=bond0\n",
    },
    "wicked": {
        "/etc/sysconfig/network/ifcfg-bond0": (
            "BONDING_MASTER='yes'\nBONDING_SLAVE_0='eth0'\nBONDING_SLAVE_1='eth1'\n"
            "BONDING_MODULE_OPTS='mode=4 miimon=100'\n"
        ),
        "/etc/sysconfig/network/ifcfg-eth0": "STARTMODE='hotplug'\n",
        "/etc/sysconfig/network/ifcfg-eth1": "STARTMODE='hotplug'\n",
        "/etc/sysconfig/network/ifcfg-vlan7": "ETHERDEVICE='bond0'\nVLAN_ID=7\n",
    },
    "ifupdown": {
        "/etc/network/interfaces": (
            "iface bond0 inet manual\n  bond-slaves eth0\n  bond-mode 4\n"
            "iface eth1 inet manual\n  bond-master bond0\n"
            "iface vlan7 inet manual\n  vlan-raw-device bond0\n"
        )
    },
    "networkd": {
        "/etc/systemd/network/bond.netdev": "[NetDev]\nName=bond0\nKind=bond\n[Bond]\nMode=802.3ad\n",
        "/etc/systemd/network/cards.network": "[Match]\nName=eth0 eth1\n[Network]\nBond=bond0\n",
        "/etc/systemd/network/bond.network": "[Match]\nName=bond0\n[Network]\nVLAN=vlan7\n",
        "/etc/systemd/network/vlan7.network": "[Match]\nName=vlan7\n[Network]\nDHCP=yes\n",
        "/etc/systemd/network/vlan7.netdev": "[NetDev]\nName=vlan7\nKind=vlan\n[VLAN]\nId=7\n",
    },
}


@pytest.mark.parametrize("stack", BONDS)
def test_every_stack_tells_bonds_members_and_vlans(stack: str) -> None:
    described = survey(BONDS[stack])
    assert members(described, "bond0") == ("eth0", "eth1")
    assert {found.mode for found in described if found.kind is LinkKind.BOND} == {"802.3ad"}
    assert members(described, "vlan7") == ("bond0",)
    assert LinkKind.VLAN in {found.kind for found in described if found.name == "vlan7"}


@pytest.mark.parametrize("stack", BONDS)
def test_a_bond_that_lost_a_card_is_told(stack: str) -> None:
    cards = wiring("eth0").cards
    found = {finding.check: finding for finding in check(BONDS[stack], Wiring(cards, missing=("eth1",)))}
    assert set(found) == {"network-member-missing", "network-bond-mode", "network-vlan"} | (
        {"network-card-missing"}
    )
    assert found[Check.NETWORK_MEMBER_MISSING].verdict is Verdict.WARNING
    assert found[Check.NETWORK_MEMBER_MISSING].message == (
        "bond0 rests on eth1, which has no counterpart on the replica"
    )
    both = check(BONDS[stack], Wiring(missing=("eth0", "eth1")))
    assert {f.verdict for f in both if f.check == "network-member-missing"} == {Verdict.ERROR}


@pytest.mark.parametrize("name", ["debian 12", "ubuntu 20.04 cloud", "rocky 9", "alma 8", "sles 15"])
def test_what_fits_passes_before_and_after(name: str) -> None:
    files, first, second = trees.ALL[name]
    given = wiring(first, second)
    for state in (files, rewrite(files, given).files):
        assert [finding.verdict for finding in check(state, given)] == [Verdict.PASSED]


def ids(files: dict[str, str], given: Wiring) -> list[str]:
    return [finding.check for finding in check(files, given)]


def test_a_foreign_mac_is_told() -> None:
    other = {path: text.replace(MAC_OLD, "02:11:22:33:44:55") for path, text in trees.NETWORKD.items()}
    assert ids(other, wiring("lan0")) == ["network-card-unconfigured", "network-mac-unknown"]


def test_a_card_without_a_file_is_told() -> None:
    assert ids(trees.DEBIAN_12, wiring("ens192", "ens224")) == ["network-card-unconfigured"]


def test_a_pattern_configures_a_card() -> None:
    files = {"/etc/systemd/network/a.network": "[Match]\nName=en*\n[Network]\nDHCP=yes\n"}
    assert ids(files, wiring("ens3")) == ["network"]
    assert ids(files, wiring("eth0")) == ["network-card-unconfigured"]


def test_a_bridge_is_told() -> None:
    files = {"/etc/network/interfaces": "iface br0 inet dhcp\n bridge_ports eth0\niface eth0 inet manual\n"}
    assert ids(files, wiring("eth0")) == ["network-bridge"]


def test_what_is_not_read_is_told() -> None:
    files = {"/etc/network/interfaces": "source /srv/net/*\niface eth0 inet dhcp\n"}
    assert ids(files, wiring("eth0")) == ["network-unread"]


def test_a_broken_file_and_addresses_that_cannot_be_written_are_errors() -> None:
    broken = check({"/etc/netplan/a.yaml": "network: [}"}, wiring("eth0", addressing={"eth0": IPV4_ONLY}))
    assert [finding.check for finding in broken] == ["network-addresses", "network-unreadable"]
    assert {finding.verdict for finding in broken} == {Verdict.ERROR}
    assert all(finding.hint for finding in broken)
