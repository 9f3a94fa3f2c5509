"""The network of a source: its cards, what is built on them, and who configures them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NetworkStack(StrEnum):
    """What gives an interface its configuration when the machine starts."""

    IFUPDOWN = "ifupdown"
    NETWORK_MANAGER = "NetworkManager"
    NETPLAN = "netplan"
    IFCFG = "ifcfg"
    WICKED = "wicked"
    NETWORKD = "networkd"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class NetworkFile:
    """A file that configures interfaces; ``names`` are those that it names (it may match others, too)."""

    path: str
    stack: NetworkStack
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nic:
    """A network card; addresses are CIDR strings, IPv4 and IPv6 mixed.

    ``driver`` is the kernel's name of it; ``master`` the bond, bridge or team that has the card. The
    addresses are then those of the master, and of the VLANs on it: see ``Link``.
    """

    name: str
    mac: str
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    driver: str = ""
    mtu: int = 0
    up: bool = False
    master: str = ""


class LinkKind(StrEnum):
    """What is made of other interfaces."""

    BOND = "bond"
    TEAM = "team"
    BRIDGE = "bridge"
    VLAN = "vlan"


@dataclass(frozen=True)
class Link:
    """A bond, team, bridge or VLAN. ``members`` are the interfaces below it, one for a VLAN.

    ``mode`` is a bond's (``active-backup``, ...), ``vlan`` a VLAN's number (1 to 4094), 0 for others.
    """

    name: str
    kind: LinkKind
    mac: str
    members: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    mode: str = ""
    vlan: int = 0
    mtu: int = 0
    up: bool = False
    master: str = ""


@dataclass(frozen=True)
class Network:
    """What the cards have in common.

    ``stacks`` are those in use, the one that decides first; ``name_servers`` and ``search`` are the
    resolver's (resolv.conf(5)), in its order.
    """

    stacks: tuple[NetworkStack, ...] = ()
    files: tuple[NetworkFile, ...] = ()
    links: tuple[Link, ...] = ()
    name_servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
