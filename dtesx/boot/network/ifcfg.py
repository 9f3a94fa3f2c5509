"""ifcfg files of Red Hat's initscripts and NetworkManager (nm-settings-ifcfg-rh(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dtesx.boot.network import assignments
from dtesx.boot.network.files import IFCFG, Files, below
from dtesx.model.replica import AddressSpec

_GLOBAL = "/etc/sysconfig/network"
_ADDRESSES = re.compile(
    r"(IPADDR|PREFIX|NETMASK|GATEWAY|DNS)\d*|BROADCAST|NETWORK|BOOTPROTO|PEERDNS"
    r"|IPV6ADDR|IPV6ADDR_SECONDARIES|IPV6_DEFAULTGW|DHCPV6C"
)
_IPV6 = ("IPV6INIT", "IPV6_AUTOCONF")
_SET_ASIDE = ("~", ".bak", ".old", ".orig", ".rpmnew", ".rpmorig", ".rpmsave")


def paths(files: Files) -> tuple[str, ...]:
    """The files that the initscripts read."""
    found = below(files, IFCFG)
    return tuple(p for p in found if p.startswith(f"{IFCFG}/ifcfg-") and not p.endswith(_SET_ASIDE))


def device(path: str, text: str) -> str:
    """The interface of a file: what it says, else what it is called by."""
    return assignments.values(text).get("DEVICE") or path.rpartition("/ifcfg-")[2]


def readdress(files: Files, name: str, mac: str, wanted: AddressSpec) -> Files | None:
    """The interface's files get the addresses; those of its aliases (``eth0:1``) are removed."""
    own = [path for path in paths(files) if serves(path, files[path], name, mac)]
    return _changed(files, name, own, wanted) if own else None


def create(files: Files, name: str, wanted: AddressSpec) -> Files:
    """A file for a card that had none."""
    path = f"{IFCFG}/ifcfg-{name}"
    made = {**files, path: f"DEVICE={name}\nTYPE=Ethernet\nONBOOT=yes\n"}
    return _changed(made, name, [path], wanted)


def serves(path: str, text: str, name: str, mac: str) -> bool:
    """Whether a file is the interface's: by its device, or by the card's MAC address where it names none."""
    found = assignments.values(text)
    if "DEVICE" not in found and found.get("HWADDR"):
        return found["HWADDR"].lower() == mac
    return device(path, text) == name


def _changed(files: Files, name: str, own: list[str], wanted: AddressSpec) -> dict[str, str]:
    aliases = [path for path in paths(files) if device(path, files[path]).startswith(f"{name}:")]
    changed = {path: text for path, text in files.items() if path not in aliases}
    changed |= {path: _readdressed(files[path], wanted) for path in own}
    if _GLOBAL in files:
        changed[_GLOBAL] = assignments.replaced(files[_GLOBAL], ("GATEWAY", "GATEWAYDEV").__contains__, ())
    return changed


def _readdressed(text: str, wanted: AddressSpec) -> str:
    also = _IPV6 if wanted.of(6) else ()
    return assignments.replaced(
        text, lambda key: key in also or _ADDRESSES.fullmatch(key) is not None, _settings(wanted)
    )


def _settings(wanted: AddressSpec) -> Iterator[tuple[str, str]]:
    yield "BOOTPROTO", "none"
    for number, address in enumerate(wanted.of(4)):
        # The first may go without a number; all tools read IPADDR, IPADDR1, ...
        suffix = str(number) if number else ""
        yield f"IPADDR{suffix}", address.partition("/")[0]
        yield f"PREFIX{suffix}", address.partition("/")[2]
    if gateway := wanted.gateway(4):
        yield "GATEWAY", gateway
    yield from _ipv6(wanted)
    for number, server in enumerate(wanted.dns, 1):
        yield f"DNS{number}", server


def _ipv6(wanted: AddressSpec) -> Iterator[tuple[str, str]]:
    addresses = wanted.of(6)
    if not addresses:
        return
    yield "IPV6INIT", "yes"
    yield "IPV6_AUTOCONF", "no"
    yield "IPV6ADDR", addresses[0]
    if addresses[1:]:
        yield "IPV6ADDR_SECONDARIES", f'"{" ".join(addresses[1:])}"'
    if gateway := wanted.gateway(6):
        yield "IPV6_DEFAULTGW", gateway
