"""ifcfg files of SUSE, read by wicked (ifcfg(5), routes(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dtesx.boot.network import assignments
from dtesx.boot.network.files import WICKED, Files, below
from dtesx.model.replica import AddressSpec

_ROUTES = f"{WICKED}/routes"
_ADDRESSES = re.compile(r"(IPADDR|PREFIXLEN|NETMASK|BROADCAST|REMOTE_IPADDR|LABEL)(_?\w+)?|NETWORK|BOOTPROTO")
_DEFAULT = ("default", "0.0.0.0/0", "::/0")


def paths(files: Files) -> tuple[str, ...]:
    """The files of interfaces; those with a dot and an ending (``.bak``) are VLANs or set aside."""
    found = below(files, WICKED)
    return tuple(
        p for p in found if p.startswith(f"{WICKED}/ifcfg-") and not p.endswith(("~", ".bak", ".orig"))
    )


def device(path: str) -> str:
    """The interface of a file."""
    return path.rpartition("/ifcfg-")[2]


def readdress(files: Files, name: str, wanted: AddressSpec) -> Files | None:
    """The interface's file gets the addresses, its default routes become the gateways."""
    path = f"{WICKED}/ifcfg-{name}"
    return create(files, name, wanted) if path in files else None


def create(files: Files, name: str, wanted: AddressSpec) -> Files:
    """As ``readdress``, with a file for a card that had none."""
    path, own = f"{WICKED}/ifcfg-{name}", f"{WICKED}/ifroute-{name}"
    old = files.get(path, "STARTMODE='auto'\n")
    changed = {**files, path: assignments.replaced(old, _is_address, _settings(wanted), quote="'")}
    if _ROUTES in files:
        # A default route without an interface, or with this one, leads to the old network's router.
        changed[_ROUTES] = _without_default(files[_ROUTES], name)
    routes = _without_default(files.get(own, ""), name)
    routes += "".join(f"default {gateway} - {name}\n" for gateway in map(wanted.gateway, (4, 6)) if gateway)
    if routes or own in files:
        changed[own] = routes
    return changed


def _is_address(key: str) -> bool:
    return _ADDRESSES.fullmatch(key) is not None


def _settings(wanted: AddressSpec) -> Iterator[tuple[str, str]]:
    yield "BOOTPROTO", "static"
    for number, address in enumerate(wanted.addresses):
        yield f"IPADDR_{number}" if number else "IPADDR", address


def _without_default(text: str, name: str) -> str:
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not _is_default(line.split(), name)]
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in kept)


def _is_default(words: list[str], name: str) -> bool:
    return words[:1] != [] and words[0] in _DEFAULT and (words[3:4] or ["-"])[0] in ("-", name)
