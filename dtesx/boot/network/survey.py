"""What the files of all stacks say about interfaces, in one form (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dtesx.boot.network import assignments, ifcfg, ifupdown, ini, netplan, wicked
from dtesx.boot.network.files import KEYFILES, NETWORKD, Files, below
from dtesx.model.network import LinkKind

_BOND_MODE = re.compile(r"\bmode=(\S+)")
_BOND_MODES = (
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
)
_NETPLAN_KINDS = {"bonds": LinkKind.BOND, "bridges": LinkKind.BRIDGE, "vlans": LinkKind.VLAN}
_WICKED_MEMBER = re.compile(r"BONDING_SLAVE_?\d+")


@dataclass(frozen=True)
class Described:
    """An interface as a file describes it; ``name`` is "" where the file leaves it open.

    ``members`` are those that this file names as below it, ``master`` what it names above it; ``mode``
    is a bond's, in the kernel's words.
    """

    path: str
    name: str
    kind: LinkKind | None = None
    members: tuple[str, ...] = ()
    master: str = ""
    mode: str = ""


def survey(files: Files) -> tuple[Described, ...]:
    """Everything that any stack says. Raises Unwritable for a netplan file that is not YAML."""
    parts = (_netplan, _keyfiles, _ifcfg, _wicked, _ifupdown, _networkd)
    return tuple(found for part in parts for found in part(files) if found.name != "lo")


def members(described: tuple[Described, ...], link: str) -> tuple[str, ...]:
    """What is below a bond, bridge or VLAN, whichever side tells it."""
    below_it = [name for found in described if found.name == link for name in found.members]
    joined = [found.name for found in described if found.master == link]
    return tuple(dict.fromkeys([*below_it, *joined]))


def _mode(text: str) -> str:
    return _BOND_MODES[int(text)] if text.isdigit() and int(text) < len(_BOND_MODES) else text


def _netplan(files: Files) -> Iterator[Described]:
    entries = netplan.entries(files)
    named = {entry.key: _netplan_name(entry) for entry in entries}
    for entry in entries:
        yield Described(
            entry.path,
            named[entry.key],
            _NETPLAN_KINDS.get(entry.kind),
            tuple(named.get(key, key) for key in entry.below),
            mode=_mode(entry.mode) if entry.kind == "bonds" else "",
        )


def _netplan_name(entry: netplan.Entry) -> str:
    name = str(entry.data.get("set-name") or entry.match.get("name") or ("" if entry.match else entry.key))
    return "" if any(sign in name for sign in "*?[") else name


def _keyfiles(files: Files) -> Iterator[Described]:
    for path in below(files, KEYFILES):
        keys = _keys(files[path])
        kind = keys.get("connection.type", "")
        name = keys.get("connection.interface-name", "")
        parent = keys.get("vlan.parent", "")
        yield Described(
            path,
            name,
            LinkKind(kind) if kind in frozenset(LinkKind) else None,
            (parent,) if parent else (),
            keys.get("connection.master") or keys.get("connection.controller", ""),
            _mode(keys.get("bond.mode", "")),
        )


def _keys(text: str) -> dict[str, str]:
    return {f"{section.name}.{key}": value for section in ini.parse(text) for key, value in section.pairs}


def _ifcfg(files: Files) -> Iterator[Described]:
    for path in ifcfg.paths(files):
        found = assignments.values(files[path])
        name, kind = ifcfg.device(path, files[path]), found.get("TYPE", "").lower()
        known = LinkKind(kind) if kind in frozenset(LinkKind) else None
        vlan = found.get("VLAN", "").lower() == "yes"
        below_it = found.get("PHYSDEV") or (name.rpartition(".")[0] if vlan else "")
        mode = _BOND_MODE.search(found.get("BONDING_OPTS", ""))
        yield Described(
            path,
            name,
            LinkKind.VLAN if vlan else LinkKind.BOND if "BONDING_OPTS" in found else known,
            (below_it,) if below_it else (),
            found.get("MASTER") or found.get("BRIDGE", ""),
            _mode(mode[1]) if mode else "",
        )


def _wicked(files: Files) -> Iterator[Described]:
    for path in wicked.paths(files):
        found = assignments.values(files[path])
        slaves = [value for key, value in found.items() if _WICKED_MEMBER.fullmatch(key)]
        ports, parent = found.get("BRIDGE_PORTS", "").split(), found.get("ETHERDEVICE", "")
        mode = _BOND_MODE.search(found.get("BONDING_MODULE_OPTS", ""))
        kind = LinkKind.BOND if slaves else LinkKind.BRIDGE if "BRIDGE_PORTS" in found else None
        yield Described(
            path,
            wicked.device(path),
            LinkKind.VLAN if parent else kind,
            (*slaves, *ports, *([parent] if parent else [])),
            mode=_mode(mode[1]) if mode else "",
        )


def _ifupdown(files: Files) -> Iterator[Described]:
    for path in ifupdown.paths(files):
        for stanza in ifupdown.parse(files[path]):
            if stanza.words[:1] == ("iface",) and ":" not in (*stanza.words, "", "")[1]:
                yield _iface(path, stanza)


def _iface(path: str, stanza: ifupdown.Stanza) -> Described:
    name = (*stanza.words, "", "")[1]
    slaves = stanza.values("bond-slaves", "bond_slaves", "slaves")
    ports = stanza.values("bridge-ports", "bridge_ports")
    parent = stanza.values("vlan-raw-device", "vlan_raw_device")[:1]
    if not parent and re.fullmatch(r".+\.\d+", name):
        parent = (name.rpartition(".")[0],)
    kind = LinkKind.BOND if slaves else LinkKind.BRIDGE if ports else LinkKind.VLAN if parent else None
    master = (*stanza.values("bond-master", "bond_master"), "")[0]
    mode = (*stanza.values("bond-mode", "bond_mode"), "")[0]
    named = tuple(word for word in (*slaves, *ports, *parent) if word not in ("none", "regex"))
    return Described(path, name, kind, named, master, _mode(mode))


def _networkd(files: Files) -> Iterator[Described]:
    for path in below(files, NETWORKD, ".netdev"):
        keys = _keys(files[path])
        kind = keys.get("NetDev.Kind", "").lower()
        if kind in frozenset(LinkKind):
            yield Described(path, keys.get("NetDev.Name", ""), LinkKind(kind), mode=keys.get("Bond.Mode", ""))
    for path in below(files, NETWORKD, ".network"):
        sections = ini.parse(files[path])
        names = _words(sections, "Match", "Name")
        master = (*_words(sections, "Network", "Bond"), *_words(sections, "Network", "Bridge"), "")[0]
        for name in names or ("",):
            plain = "" if name.startswith("!") or any(sign in name for sign in "*?[") else name
            yield Described(path, plain, master=master)
            for vlan in _words(sections, "Network", "VLAN"):
                yield Described(path, vlan, LinkKind.VLAN, (plain,) if plain else ())


def _words(sections: tuple[ini.Section, ...], name: str, key: str) -> tuple[str, ...]:
    return tuple(w for s in sections if s.name == name for value in s.values(key) for w in value.split())
