"""Network interfaces that a replica gets a virtual one for, from ip(8) JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from dtesx.base.run import run
from dtesx.model.network import Nic

# In a container or namespace the only card is one end of a veth pair, named like a real one; on a
# container host the ends are called veth..., cali..., lxc... and belong to the containers.
_CARD_NAME = re.compile(r"e(th|n[opsx])[0-9a-f]\w*")


def parse_nics(addresses: str, routes: str) -> tuple[Nic, ...]:
    """Cards in ``ip -details -json address`` with the default gateways of ``ip -json route``.

    ``routes`` may be several JSON documents, one a line (IPv4, then IPv6).
    """
    gateways = _gateways(routes)
    return tuple(
        Nic(
            name=str(link["ifname"]),
            mac=str(link.get("permaddr") or link["address"]).lower(),
            addresses=tuple(
                f"{a['local']}/{a['prefixlen']}"
                for a in link.get("addr_info", ())
                if a.get("scope") != "link" and "local" in a
            ),
            gateways=gateways.get(str(link["ifname"]), ()),
        )
        for link in json.loads(addresses or "[]")
        if _is_card(link)
    )


def _is_card(link: Mapping[str, Any]) -> bool:
    if link.get("link_type") != "ether" or not link.get("address"):
        return False
    kind = link.get("linkinfo", {}).get("info_kind", "")
    return not kind or (kind == "veth" and _CARD_NAME.fullmatch(str(link["ifname"])) is not None)


def _gateways(routes: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in routes.splitlines():
        for route in json.loads(line) if line.strip() else ():
            if "gateway" in route:
                name = str(route["dev"])
                found[name] = (*found.get(name, ()), str(route["gateway"]))
    return found


def read_nics() -> tuple[Nic, ...]:
    """Ask ip(8). Raises CommandFailed."""
    addresses = run(["ip", "-details", "-json", "address"]).text
    routes = [
        # Status 1 or 2: this kernel runs without the address family.
        run(["ip", family, "-json", "route", "show", "default"], ok=(0, 1, 2)).text.replace("\n", "")
        for family in ("-4", "-6")
    ]
    return parse_nics(addresses, "\n".join(routes))
