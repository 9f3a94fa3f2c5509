"""Which network stack configures the interfaces: its files, found by name and content below a root."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from dtesx.model.network import NetworkFile, NetworkStack

_STUB = "127.0.0.53"  # systemd-resolved, which keeps the real servers elsewhere
_NETPLAN_KINDS = ("ethernets", "bonds", "bridges", "vlans", "wifis")


def _ifupdown(text: str, _path: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"^\s*iface\s+(\S+)", text, re.MULTILINE)))


def _netplan(text: str, _path: Path) -> tuple[str, ...]:
    document = yaml.safe_load(text)
    network = document.get("network") if isinstance(document, dict) else None
    kinds = [network.get(kind) for kind in _NETPLAN_KINDS] if isinstance(network, dict) else []
    return tuple(_netplan_name(key, entry) for kind in kinds if kind for key, entry in kind.items())


def _netplan_name(key: str, entry: Any) -> str:
    entry = entry if isinstance(entry, dict) else {}
    match = entry.get("match") or {}
    return str(entry.get("set-name") or match.get("name") or key)


def _keyfile(text: str, _path: Path) -> tuple[str, ...]:
    return _ini_values(text, ("connection", "interface-name"))


def _networkd(text: str, _path: Path) -> tuple[str, ...]:
    words = (*_ini_values(text, ("Match", "Name")), *_ini_values(text, ("NetDev", "Name")))
    return tuple(name for word in words for name in word.split())


def _ini_values(text: str, *wanted: tuple[str, str]) -> tuple[str, ...]:
    # [Address] and the like may be there several times.
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    parser.read_string(text)
    values = (parser.get(section, key, fallback=None) for section, key in wanted)
    return tuple(value for value in values if value)


def _ifcfg(text: str, path: Path) -> tuple[str, ...]:
    found = re.search(r"^\s*DEVICE=[\"']?([^\"'\s]+)", text, re.MULTILINE)
    return (found[1] if found else path.name.removeprefix("ifcfg-"),)


# The first that has a file which names an interface decides: netplan writes what the others then read.
_PLACES: tuple[tuple[NetworkStack, str, Callable[[str, Path], tuple[str, ...]]], ...] = (
    (NetworkStack.NETPLAN, "etc/netplan/*.yaml", _netplan),
    (NetworkStack.NETWORK_MANAGER, "etc/NetworkManager/system-connections/*", _keyfile),
    (NetworkStack.IFCFG, "etc/sysconfig/network-scripts/ifcfg-*", _ifcfg),
    (NetworkStack.WICKED, "etc/sysconfig/network/ifcfg-*", _ifcfg),
    (NetworkStack.IFUPDOWN, "etc/network/interfaces", _ifupdown),
    (NetworkStack.IFUPDOWN, "etc/network/interfaces.d/*", _ifupdown),
    (NetworkStack.NETWORKD, "etc/systemd/network/*.net*", _networkd),
)
# A stack may also do without files: what it does then comes of its defaults.
_RUNNING = (
    (NetworkStack.NETWORK_MANAGER, "run/NetworkManager"),
    (NetworkStack.WICKED, "run/wicked"),
    (NetworkStack.NETWORKD, "run/systemd/netif/state"),
)


def find_files(root: Path) -> tuple[tuple[NetworkFile, ...], tuple[str, ...]]:
    """The files that configure interfaces, those of the stack that decides first, and what could not be read.

    Files for the loopback interface alone are left out.
    """
    files: list[NetworkFile] = []
    problems: list[str] = []
    for stack, pattern, names_in in _PLACES:
        for path in _regular(root, pattern):
            shown = f"/{path.relative_to(root)}"
            try:
                names = names_in(path.read_text(errors="replace"), path)
            except (OSError, configparser.Error, yaml.YAMLError) as error:
                problems.append(f"{shown} could not be read: {str(error).splitlines()[0]}")
                continue
            if names != ("lo",):
                files.append(NetworkFile(shown, stack, tuple(name for name in names if name != "lo")))
    return tuple(files), tuple(problems)


def _regular(root: Path, pattern: str) -> Iterator[Path]:
    yield from sorted(path for path in root.glob(pattern) if path.is_file())


def stacks_in_use(files: tuple[NetworkFile, ...], root: Path) -> tuple[NetworkStack, ...]:
    """The stacks that configure something, the one that decides first."""
    named = [file.stack for file in files if file.names]
    running = [stack for stack, path in _RUNNING if (root / path).exists()]
    return tuple(dict.fromkeys([*named, *([] if named else running)]))


def parse_resolver(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name servers and search domains of a resolv.conf(5); of several search lines the last counts."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    for words in (line.split() for line in text.splitlines()):
        if words[:1] == ["nameserver"]:
            servers += words[1:2]
        elif words[:1] in (["search"], ["domain"]):
            search = tuple(words[1:])
    return tuple(servers), search


def read_resolver(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name servers and search domains as the resolver of that root has them."""
    for path in (root / "etc/resolv.conf", root / "run/systemd/resolve/resolv.conf"):
        if path.is_file():
            servers, search = parse_resolver(path.read_text(errors="replace"))
            if servers and servers != (_STUB,):
                return servers, search
    return (), ()
