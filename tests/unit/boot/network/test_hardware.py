"""Matches by driver and place become matches by name."""

from __future__ import annotations

import pytest

from dtesx.boot.network import hardware
from dtesx.boot.network.rewrite import rewrite
from dtesx.model.wiring import Card, Wiring

CARDS = (
    Card("eth0", "00:50:56:00:00:0a", "02:00:00:00:00:01", "i40e"),
    Card("eth1", "00:50:56:00:00:0b", "02:00:00:00:00:02", "i40e"),
    Card("eth2", "00:50:56:00:00:0c", "02:00:00:00:00:03", "bnx2x"),
)
NETWORKD = "/etc/systemd/network/a.network"
KEYFILE = "/etc/NetworkManager/system-connections/a"
NETPLAN = "/etc/netplan/a.yaml"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (
            NETWORKD,
            "[Match]\nDriver=i40*\n[Network]\nDHCP=yes\n",
            "[Match]\nName=eth0 eth1\n[Network]\nDHCP=yes\n",
        ),
        (NETWORKD, "[Match]\nDriver=i40e bnx2x\n", "[Match]\nName=eth0 eth1 eth2\n"),
        (NETWORKD, "[Match]\nPath=pci-0000:02:*\nName=eth0\n", "[Match]\nName=eth0\n"),
        (KEYFILE, "[match]\ndriver=i40e;\n[ipv4]\n", "[match]\ninterface-name=eth0;eth1\n[ipv4]\n"),
        (
            KEYFILE,
            "[connection]\ninterface-name=eth2\n[match]\npath=x\n",
            "[connection]\ninterface-name=eth2\n[match]\n",
        ),
        (
            NETPLAN,
            "network:\n ethernets:\n  a:\n   match:\n    driver: bnx2x\n\n   # next\n   dhcp4: true\n",
            "network:\n ethernets:\n  a:\n   match: {name: eth2}\n\n   # next\n   dhcp4: true\n",
        ),
        (
            NETPLAN,
            "network: {ethernets: {a: {match: {driver: [i4*, bnx2x]}}, b: {match: {name: e0, driver: x}}}}\n",
            "network: {ethernets: {a: {match: {driver: vmxnet3}}, b: {match: {name: e0}}}}\n",
        ),
    ],
)
def test_drivers_become_names(path: str, before: str, after: str) -> None:
    given = Wiring(CARDS)
    once = rewrite({path: before}, given).files
    assert once[path] == after
    assert rewrite(once, given).files == once
    assert list(hardware.left(once)) == []


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (NETWORKD, "[Match]\nPath=pci-0000:02:*\n", "Path=pci-0000:02:*"),
        (NETWORKD, "[Match]\nDriver=virtio_net\n", "Driver=virtio_net"),
        (KEYFILE, "[match]\npath=pci-x\n", "path=pci-x"),
        (NETPLAN, "network: {ethernets: {a: {match: {driver: i40e}}}}\n", "driver: i40e"),
    ],
)
def test_what_cannot_be_told_stays_and_is_named(path: str, text: str, words: str) -> None:
    after = rewrite({path: text}, Wiring(CARDS)).files
    assert after[path] == text
    assert list(hardware.left(after)) == [(path, words)]
