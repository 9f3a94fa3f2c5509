"""Interfaces from the JSON of ip(8): cards, and the bonds, teams, bridges and VLANs on them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dtesx.model.network import Link, LinkKind, Nic

# In a container or namespace the only card is one end of a veth pair, named like a real one; on a
# container host the ends are called veth..., cali..., lxc... and belong to the containers.
_CARD_NAME = re.compile(r"e(th|n[opsx])[0-9a-f]\w*")

_KINDS = frozenset(LinkKind)


def parse_nics(addresses: str, routes: str, drivers: Mapping[str, str]) -> tuple[Nic, ...]:
    """Cards in ``ip -details -json address`` with the default gateways of ``ip -json route``.

    ``routes`` may be several JSON documents, one a line (IPv4, then IPv6). ``drivers`` has the name
    of each interface's driver.
    """
    gateways = _gateways(routes)
    return tuple(
        Nic(
            name=str(link["ifname"]),
            mac=str(link.get("permaddr") or link["address"]).lower(),
            addresses=_addresses(link),
            gateways=gateways.get(str(link["ifname"]), ()),
            driver=drivers.get(str(link["ifname"]), ""),
            mtu=int(link.get("mtu", 0)),
            up=link.get("operstate") == "UP",
            master=str(link.get("master", "")),
        )
        for link in _parsed(addresses)
        if _is_card(link)
    )


def parse_links(addresses: str, routes: str) -> tuple[Link, ...]:
    """What is built on cards: bonds, teams, bridges and VLANs; others (of containers, say) are left out."""
    links = _parsed(addresses)
    gateways = _gateways(routes)
    members = {str(link["ifname"]): _members(link, links) for link in links}
    cards = {str(link["ifname"]) for link in links if _is_card(link)}
    return tuple(
        _link(link, members[str(link["ifname"])], gateways.get(str(link["ifname"]), ()))
        for link in links
        if _kind(link) in _KINDS and _rests_on(str(link["ifname"]), cards, members)
    )


def _parsed(addresses: str) -> list[dict[str, Any]]:
    # ip leaves an empty object for each interface that a filter of its own left out.
    return [link for link in json.loads(addresses or "[]") if link]


def _is_card(link: Mapping[str, Any]) -> bool:
    if link.get("link_type") != "ether" or not link.get("address"):
        return False
    kind = _kind(link)
    return not kind or (kind == "veth" and _CARD_NAME.fullmatch(str(link["ifname"])) is not None)


def _kind(link: Mapping[str, Any]) -> str:
    return str(link.get("linkinfo", {}).get("info_kind", ""))


def _members(link: Mapping[str, Any], links: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    if _kind(link) == LinkKind.VLAN:
        return (str(link["link"]),) if "link" in link else ()
    return tuple(str(other["ifname"]) for other in links if other.get("master") == link["ifname"])


def _rests_on(name: str, cards: set[str], members: Mapping[str, tuple[str, ...]]) -> bool:
    below = members.get(name, ())
    return any(other in cards or _rests_on(other, cards, members) for other in below)


def _link(link: Mapping[str, Any], members: tuple[str, ...], gateways: tuple[str, ...]) -> Link:
    data = link["linkinfo"].get("info_data", {})
    kind = LinkKind(_kind(link))
    return Link(
        name=str(link["ifname"]),
        kind=kind,
        mac=str(link.get("address", "")).lower(),
        members=members,
        addresses=_addresses(link),
        gateways=gateways,
        mode=str(data.get("mode", "")) if kind is LinkKind.BOND else "",
        vlan=int(data.get("id", 0)) if kind is LinkKind.VLAN else 0,
        mtu=int(link.get("mtu", 0)),
        up=link.get("operstate") == "UP",
        master=str(link.get("master", "")),
    )


def _addresses(link: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{a['local']}/{a['prefixlen']}"
        for a in link.get("addr_info", ())
        # Those for privacy (RFC 8981) are others tomorrow.
        if a.get("scope") != "link" and "local" in a and not a.get("temporary")
    )


def _gateways(routes: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in routes.splitlines():
        for route in json.loads(line) if line.strip() else ():
            if "gateway" in route:
                name = str(route["dev"])
                found[name] = (*found.get(name, ()), str(route["gateway"]))
    return found
