"""Trees of the distributions, made by hand of what their documentation says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from dtesx.inventory.configuration import find_files, parse_resolver, read_resolver, stacks_in_use
from dtesx.model.network import NetworkStack

NETPLAN = """
network:
  version: 2
  ethernets:
    eth0: {dhcp4: true}
    lan: {match: {name: ens3}}
    wan: {match: {macaddress: "02:00:00:00:00:01"}, set-name: wan0}
  vlans:
    vlan7: {id: 7, link: eth0}
"""
KEYFILE = """
[connection]
id=Wired connection 1
interface-name=ens192
[ipv4]
method=auto
"""
NETWORK = """
[Match]
Name=ens3 ens4
[Address]
Address=192.0.2.1/24
[Address]
Address=192.0.2.2/24
"""


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "stack", "names"),
    [
        (
            {
                "etc/network/interfaces": "auto lo\niface lo inet loopback\nsource interfaces.d/*\n",
                "etc/network/interfaces.d/lan": "iface eth0 inet static\niface eth0 inet6 auto\n",
            },
            NetworkStack.IFUPDOWN,
            [("eth0",)],
        ),
        ({"etc/netplan/50-cloud.yaml": NETPLAN}, NetworkStack.NETPLAN, [("eth0", "ens3", "wan0", "vlan7")]),
        (
            {"etc/NetworkManager/system-connections/a.nmconnection": KEYFILE},
            NetworkStack.NETWORK_MANAGER,
            [("ens192",)],
        ),
        (
            {
                "etc/sysconfig/network-scripts/ifcfg-lo": "DEVICE=lo\n",
                "etc/sysconfig/network-scripts/ifcfg-lan": 'NAME=lan\nDEVICE="ens192"\nBOOTPROTO=none\n',
            },
            NetworkStack.IFCFG,
            [("ens192",)],
        ),
        (
            {
                "etc/sysconfig/network/ifcfg-lo": "STARTMODE=nfsroot\n",
                "etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\n",
            },
            NetworkStack.WICKED,
            [("eth0",)],
        ),
        ({"etc/systemd/network/10-lan.network": NETWORK}, NetworkStack.NETWORKD, [("ens3", "ens4")]),
    ],
)
def test_each_stack_is_known_by_its_files(
    tmp_path: Path, files: dict[str, str], stack: NetworkStack, names: list[tuple[str, ...]]
) -> None:
    found, problems = find_files(tree(tmp_path, files))
    assert problems == ()
    assert [(file.stack, file.names) for file in found] == [(stack, named) for named in names]
    assert stacks_in_use(found, tmp_path) == (stack,)


def test_netplan_decides_before_what_it_writes_for(tmp_path: Path) -> None:
    files = {"etc/systemd/network/10-x.network": NETWORK, "etc/netplan/a.yaml": NETPLAN}
    found, _ = find_files(tree(tmp_path, files))
    assert stacks_in_use(found, tmp_path) == (NetworkStack.NETPLAN, NetworkStack.NETWORKD)


def test_a_stack_without_files_counts_when_it_runs_alone(tmp_path: Path) -> None:
    (tmp_path / "run/NetworkManager").mkdir(parents=True)
    assert stacks_in_use((), tmp_path) == (NetworkStack.NETWORK_MANAGER,)
    found, _ = find_files(tree(tmp_path, {"etc/network/interfaces": "iface eth0 inet dhcp\n"}))
    assert stacks_in_use(found, tmp_path) == (NetworkStack.IFUPDOWN,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("etc/netplan/a.yaml", "network: [}"),
        ("etc/NetworkManager/system-connections/a", "no section\n"),
    ],
)
def test_a_broken_file_is_told_and_hides_nothing_else(tmp_path: Path, name: str, text: str) -> None:
    files = {name: text, "etc/network/interfaces": "iface eth0 inet dhcp\n"}
    found, problems = find_files(tree(tmp_path, files))
    assert [file.path for file in found] == ["/etc/network/interfaces"]
    assert len(problems) == 1
    assert problems[0].startswith(f"/{name} could not be read: ")


@pytest.mark.parametrize("text", ["", "[]", "network:\n", "network: 3\n", "network: {ethernets: }\n"])
def test_a_netplan_that_says_nothing(tmp_path: Path, text: str) -> None:
    found, problems = find_files(tree(tmp_path, {"etc/netplan/a.yaml": text}))
    assert [file.names for file in found] == [()]
    assert problems == ()


def test_the_resolver() -> None:
    text = "# by hand\nnameserver 192.0.2.1\nnameserver\nsearch a.example\nsearch b.example c.example\n\n"
    assert parse_resolver(text) == (("192.0.2.1",), ("b.example", "c.example"))


def test_behind_the_stub_are_the_real_name_servers(tmp_path: Path) -> None:
    files = {"etc/resolv.conf": "nameserver 127.0.0.53\n"}
    assert read_resolver(tree(tmp_path, files)) == ((), ())
    files = {"run/systemd/resolve/resolv.conf": "nameserver 192.0.2.7\nsearch x\n"}
    assert read_resolver(tree(tmp_path, files)) == (("192.0.2.7",), ("x",))
