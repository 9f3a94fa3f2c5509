"""systemd-networkd's files (systemd.network(5))."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from dtesx.boot.network import ini
from dtesx.boot.network.files import NETWORKD, Files, below
from dtesx.model.replica import AddressSpec

_ADDRESSES = ("Address", "Gateway", "DNS", "DHCP")
_DEFAULT = ("0.0.0.0/0", "::/0", "default")
_HEAD = "# Written by dtesx\n"


def readdress(files: Files, name: str, mac: str, wanted: AddressSpec) -> Files | None:
    """The file of the interface gets the addresses; one for several interfaces gets a copy before it."""
    paths = below(files, NETWORKD, ".network")
    path = next((p for p in paths if serves(files[p], name, mac)), None)
    if path is None:
        return None
    if _serves_one(files[path]):
        return {**files, path: _readdressed(files[path], wanted)}
    own = f"{NETWORKD}/00-dtesx-{name}.network"
    others = [section for section in ini.parse(files[path]) if section.name != "Match"]
    text = _HEAD + ini.render([ini.section("Match", [("Name", name)]), ini.Section("", ("\n",)), *others])
    return {**files, own: _readdressed(text, wanted)}


def create(files: Files, name: str, wanted: AddressSpec) -> Files:
    """A file for a card that had none."""
    text = _HEAD + ini.render([ini.section("Match", [("Name", name)]), ini.Section("", ("\n",))])
    return {**files, f"{NETWORKD}/00-dtesx-{name}.network": _readdressed(text, wanted)}


def serves(text: str, name: str, mac: str) -> bool:
    """Whether a file's [Match] is the interface's, by its name or the card's MAC address."""
    match = _match(text)
    if "Name" in match:
        return _matches(match["Name"].split(), name)
    macs = f"{match.get('MACAddress', '')} {match.get('PermanentMACAddress', '')}".lower().split()
    if macs:
        return mac in (word.replace("-", ":") for word in macs)
    return bool(mac) and match.get("Type", "") == "ether"


def interfaces(text: str) -> tuple[str, ...]:
    """The names in a file's [Match] that are no patterns."""
    return tuple(word for word in _match(text).get("Name", "").split() if not _is_pattern(word))


def master(text: str) -> str:
    """The bond or bridge that a file's interface belongs to."""
    sections = [section for section in ini.parse(text) if section.name == "Network"]
    return next((v for s in sections for key in ("Bond", "Bridge") for v in s.values(key)), "")


def _match(text: str) -> dict[str, str]:
    return {
        key: value for section in ini.parse(text) if section.name == "Match" for key, value in section.pairs
    }


def _matches(words: list[str], name: str) -> bool:
    if words[:1] and words[0].startswith("!"):
        return not any(fnmatchcase(name, word.lstrip("!")) for word in words)
    return any(fnmatchcase(name, word) for word in words)


def _is_pattern(word: str) -> bool:
    return word.startswith("!") or any(sign in word for sign in "*?[")


def _serves_one(text: str) -> bool:
    match = _match(text)
    if "Name" in match:
        return len(match["Name"].split()) == 1 and not _is_pattern(match["Name"])
    return len(f"{match.get('MACAddress', '')} {match.get('PermanentMACAddress', '')}".split()) == 1


def _readdressed(text: str, wanted: AddressSpec) -> str:
    kept = [section for section in ini.parse(text) if not _is_address(section)]
    first = next((n for n, section in enumerate(kept) if section.name == "Network"), None)
    if first is None:
        place = next((n + 1 for n, section in enumerate(kept) if section.name == "Match"), len(kept))
        return ini.render([*kept[:place], ini.section("Network", _settings(wanted)), *kept[place:]])
    changed = [
        section.replaced(lambda key, _: key in _ADDRESSES, _settings(wanted) if number == first else ())
        if section.name == "Network"
        else section
        for number, section in enumerate(kept)
    ]
    return ini.render(changed)


def _is_address(section: ini.Section) -> bool:
    if section.name == "Route":
        destination = (*section.values("Destination"), "")[0]
        return bool(section.values("Gateway")) and destination in ("", *_DEFAULT)
    return section.name == "Address"


def _settings(wanted: AddressSpec) -> Iterator[tuple[str, str]]:
    yield "DHCP", "no"
    for key, values in (("Address", wanted.addresses), ("Gateway", wanted.gateways), ("DNS", wanted.dns)):
        for value in values:
            yield key, value
