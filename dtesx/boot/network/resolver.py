"""Name servers of the whole machine, and its own addresses in hosts(5)."""

from __future__ import annotations

import re
from ipaddress import ip_interface

from dtesx.boot.network import assignments
from dtesx.boot.network.files import HOSTS, RESOLVER, WICKED, Files
from dtesx.model.wiring import Wiring

_NETCONFIG = f"{WICKED}/config"
_STATIC = "NETCONFIG_DNS_STATIC_SERVERS"
_FIRST_WORD = re.compile(r"(\s*)(\S+)(.*)", re.DOTALL)


def follow(files: Files, wiring: Wiring) -> dict[str, str]:
    """The files with the name servers and addresses that interfaces were given."""
    servers = tuple(dict.fromkeys(server for new in wiring.addressing.values() for server in new.dns))
    changed = dict(files)
    if servers and RESOLVER in files:
        changed[RESOLVER] = _with_servers(files[RESOLVER], servers)
    if servers and _NETCONFIG in files:
        put = [(_STATIC, " ".join(servers))]
        changed[_NETCONFIG] = assignments.replaced(files[_NETCONFIG], _STATIC.__eq__, put, quote='"')
    if HOSTS in files:
        changed[HOSTS] = _moved(files[HOSTS], _moves(wiring))
    return changed


def _with_servers(text: str, servers: tuple[str, ...]) -> str:
    lines = text.splitlines(keepends=True)
    own = [number for number, line in enumerate(lines) if line.split()[:1] == ["nameserver"]]
    place = own[0] if own else len(lines)
    before = "".join(lines[:place])
    start = before if before.endswith("\n") or not before else f"{before}\n"
    after = "".join(line for number, line in enumerate(lines) if number >= place and number not in own)
    return start + "".join(f"nameserver {server}\n" for server in servers) + after


def _moves(wiring: Wiring) -> dict[str, str]:
    """The new address for each of the source's that goes away; the first of its version."""
    moves: dict[str, str] = {}
    for name, new in wiring.addressing.items():
        kept = {_host(text) for text in new.addresses}
        for text in wiring.source_addresses.get(name, ()):
            first = new.of(ip_interface(text).version)[:1]
            if first and _host(text) not in kept:
                moves[_host(text)] = _host(first[0])
    return moves


def _host(text: str) -> str:
    return str(ip_interface(text).ip)


def _moved(text: str, moves: dict[str, str]) -> str:
    def new(line: str) -> str:
        found = _FIRST_WORD.fullmatch(line)
        return f"{found[1]}{moves[found[2]]}{found[3]}" if found and found[2] in moves else line

    return "".join(map(new, text.splitlines(keepends=True)))
