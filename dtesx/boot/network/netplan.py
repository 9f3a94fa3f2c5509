"""netplan's YAML, changed in place: the entries of an interface lose and get lines, the rest stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import yaml

from dtesx.boot.network.files import NETPLAN, Files, Unwritable, below
from dtesx.model.replica import AddressSpec

_CARDS = "ethernets"
_KINDS = (_CARDS, "bonds", "bridges", "vlans")
_ADDRESSES = ("dhcp4", "dhcp6", "addresses", "gateway4", "gateway6", "routes", "nameservers")
_DEFAULT = ("default", "0.0.0.0/0", "::/0", "0/0")


@dataclass(frozen=True)
class Entry:
    """What a file says about an interface (or several, by a pattern); ``data`` is its plain value."""

    path: str
    kind: str
    key: str
    node: yaml.Node
    data: Mapping[str, Any]

    @property
    def match(self) -> Mapping[str, Any]:
        return _mapping(self.data.get("match"))

    @property
    def below(self) -> tuple[str, ...]:
        """The keys of the entries that this one is made of."""
        listed = self.data.get("interfaces")
        names = [*(listed if isinstance(listed, list) else []), self.data.get("link")]
        return tuple(str(name) for name in names if name is not None)

    @property
    def mode(self) -> str:
        """A bond's mode; "" for the default."""
        return str(_mapping(self.data.get("parameters")).get("mode", ""))


def entries(files: Files) -> tuple[Entry, ...]:
    """All entries, in netplan's order. Raises Unwritable for a file that is not YAML."""
    return tuple(entry for path in below(files, NETPLAN, ".yaml") for entry in _entries(path, files[path]))


def serves(entry: Entry, name: str, mac: str) -> bool:
    """Whether the entry is the interface's."""
    if "set-name" in entry.data:
        return bool(entry.data["set-name"] == name)
    if not entry.match:
        return entry.key == name
    patterns = entry.match.get("name")
    wanted = str(entry.match.get("macaddress", mac)).lower()
    return wanted == mac and (patterns is None or fnmatchcase(name, str(patterns))) and bool(mac)


def readdress(files: Files, name: str, mac: str, wanted: AddressSpec) -> Files | None:
    """The last entry of the interface gets the addresses; netplan adds up those of several files.

    Raises Unwritable when the interface shares its entry with others.
    """
    own = [entry for entry in entries(files) if serves(entry, name, mac)]
    if not own:
        return None
    changed = dict(files)
    for entry in reversed(own):  # what stands before a changed entry keeps its place
        if _is_shared(entry):
            raise Unwritable(f"{entry.path} configures {name} together with other cards by a pattern")
        last = entry is own[-1]
        put = _settings(entry.data, wanted) if last else {}
        changed[entry.path] = _replaced(changed[entry.path], entry, put)
    return changed


def with_match(text: str, entry: Entry, match: Mapping[str, Any]) -> str:
    """The text with another ``match`` in an entry that has one."""
    pairs = entry.node.value if isinstance(entry.node, yaml.MappingNode) else []
    key, node = next((key, value) for key, value in pairs if key.value == "match")
    if node.flow_style:
        return f"{text[: node.start_mark.index]}{_flow(dict(match))}{text[node.end_mark.index :]}"
    lines = text.splitlines(keepends=True)
    line = f"{' ' * key.start_mark.column}match: {_flow(dict(match))}\n"
    return "".join([*lines[: key.start_mark.line], line, *lines[_last_line(key, node) + 1 :]])


def create(files: Files, name: str, wanted: AddressSpec) -> Files:
    """A file for a card that had none."""
    head = f"# Written by dtesx\nnetwork:\n  version: 2\n  {_CARDS}:\n"
    text = f"{head}    {_flow(name)}: {_flow(_settings({}, wanted))}\n"
    return {**files, f"{NETPLAN}/90-dtesx-{name}.yaml": text}


@lru_cache(maxsize=32)
def _entries(path: str, text: str) -> tuple[Entry, ...]:
    return tuple(_read(path, text))


def _read(path: str, text: str) -> Iterator[Entry]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Unwritable(f"{path} is no YAML: {str(error).splitlines()[0]}") from error
    for kind_key, kind_node in _pairs(_child(root, "network")):
        if kind_key in _KINDS:
            for key, node in _pairs(kind_node):
                plain = data["network"][kind_key][key]
                yield Entry(path, kind_key, key, node, _mapping(plain))


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), value) for key, value in node.value)


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _pairs(node) if key == name), None)


def _is_shared(entry: Entry) -> bool:
    if "set-name" in entry.data or not entry.match or "macaddress" in entry.match:
        return False
    return any(sign in str(entry.match.get("name", "*")) for sign in "*?[")


def _settings(old: Mapping[str, Any], wanted: AddressSpec) -> dict[str, Any]:
    """What takes the place of everything about addresses; other routes and search domains stay."""
    gateways = ((wanted.gateway(4), "0.0.0.0/0"), (wanted.gateway(6), "::/0"))
    # "default" is not known to netplan before 0.103.
    routes = [{"to": to, "via": via} for via, to in gateways if via]
    routed = old.get("routes")
    listed = routed if isinstance(routed, list) else []
    kept = [route for route in listed if str(_mapping(route).get("to")) not in _DEFAULT]
    names = {key: value for key, value in _mapping(old.get("nameservers")).items() if key != "addresses"}
    servers = {"addresses": list(wanted.dns)} if wanted.dns else {}
    found = {"dhcp4": False, "dhcp6": False, "addresses": list(wanted.addresses)}
    return {**found, **_filled(routes=[*routes, *kept], nameservers={**servers, **names})}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _filled(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _replaced(text: str, entry: Entry, put: Mapping[str, Any]) -> str:
    node = entry.node
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        _require_own_lines(entry, node)
        return _replaced_lines(text, node, put)
    kept = {key: value for key, value in entry.data.items() if key not in _ADDRESSES}
    start, end = node.start_mark.index, node.end_mark.index
    space = "" if text[start - 1 : start] == " " else " "
    return f"{text[:start]}{space}{_flow({**kept, **put})}{text[end:]}"


def _require_own_lines(entry: Entry, node: yaml.MappingNode) -> None:
    for key, value in node.value:
        if key.start_mark.column != node.start_mark.column or value.start_mark.index < key.start_mark.index:
            raise Unwritable(f"{entry.path} uses anchors for {entry.key}")


def _replaced_lines(text: str, node: yaml.MappingNode, put: Mapping[str, Any]) -> str:
    lines = text.splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    spans = [(key.start_mark.line, _last_line(key, value) + 1, str(key.value)) for key, value in node.value]
    gone = {line for start, end, key in spans if key in _ADDRESSES for line in range(start, end)}
    place = min(gone) if gone else spans[-1][1]
    indent = " " * node.start_mark.column
    added = [f"{indent}{key}: {_flow(value)}\n" for key, value in put.items()]
    before = [line for number, line in enumerate(lines[:place]) if number not in gone]
    after = [line for number, line in enumerate(lines[place:], place) if number not in gone]
    if not added and len(gone) == sum(end - start for start, end, _ in spans):
        # netplan wants a mapping, be it empty.
        added = [f"{indent}{{}}\n"]
    return "".join([*before, *added, *after])


def _last_line(key: yaml.Node, value: yaml.Node) -> int:
    """The last line that a pair has; marks of block collections end behind the blank lines that follow."""
    if isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
        last = value.value[-1]
        return _last_line(*last) if isinstance(last, tuple) else _last_line(last, last)
    if isinstance(value, yaml.ScalarNode) and value.style in ("|", ">"):
        return max(int(value.end_mark.line) - 1, int(key.start_mark.line))
    return max(int(value.end_mark.line), int(key.start_mark.line))


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1 << 20)
    return str(text).removesuffix("...\n").strip()
