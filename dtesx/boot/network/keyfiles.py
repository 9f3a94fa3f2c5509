"""NetworkManager's keyfiles (nm-settings-keyfile(5))."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

from dtesx.boot.network import ini
from dtesx.boot.network.files import KEYFILES, Files, below
from dtesx.model.replica import AddressSpec

_ADDRESSES = re.compile(r"address(es)?\d*|gateway|dns|method|ignore-auto-dns|never-default")
_ROUTE = re.compile(r"routes?\d+")
_DEFAULT = re.compile(r"(0\.0\.0\.0|::)/0\b")
_CARDS = ("ethernet", "802-3-ethernet")


def readdress(files: Files, name: str, mac: str, wanted: AddressSpec) -> Files | None:
    """Every profile of the interface gets the addresses."""
    paths = [path for path in below(files, KEYFILES) if serves(files[path], name, mac)]
    return {**files, **{path: _readdressed(files[path], wanted) for path in paths}} if paths else None


def create(files: Files, name: str, wanted: AddressSpec) -> Files:
    """A profile for a card that had none: NetworkManager then asks DHCP by itself."""
    sections = (
        ini.section("connection", _identity(name)),
        ini.Section("", ("\n",)),
        ini.section("ipv4", ()),
        ini.Section("", ("\n",)),
        ini.section("ipv6", (("method", "auto"),)),
    )
    text = _readdressed(ini.render(sections), wanted)
    return {**files, f"{KEYFILES}/dtesx-{name}.nmconnection": text}


def serves(text: str, name: str, mac: str) -> bool:
    """Whether a profile is the interface's: by its name or by the card's MAC address."""
    sections = ini.parse(text)
    if _values(sections, ("connection", "match"), "interface-name"):
        return name in _values(sections, ("connection", "match"), "interface-name")
    return bool(mac) and mac in [value.lower() for value in _values(sections, _CARDS, "mac-address")]


def interfaces(text: str) -> tuple[str, ...]:
    """The interfaces that a profile names."""
    return _values(ini.parse(text), ("connection", "match"), "interface-name")


def master(text: str) -> str:
    """The bond, bridge or team that a profile's interface belongs to; it may be a UUID."""
    values = _values(ini.parse(text), ("connection",), "master")
    return (*values, *_values(ini.parse(text), ("connection",), "controller"), "")[0]


def _values(sections: tuple[ini.Section, ...], names: tuple[str, ...], key: str) -> tuple[str, ...]:
    found = (value for section in sections if section.name in names for value in section.values(key))
    return tuple(word for value in found for word in value.replace(";", " ").split())


def _identity(name: str) -> Iterator[tuple[str, str]]:
    yield "id", f"dtesx-{name}"
    # The same at every run.
    yield "uuid", str(uuid.uuid5(uuid.NAMESPACE_OID, f"dtesx-{name}"))
    yield "type", "ethernet"
    yield "interface-name", name


def _readdressed(text: str, wanted: AddressSpec) -> str:
    sections = list(ini.parse(text))
    for version in (4, 6):
        if not any(section.name == f"ipv{version}" for section in sections):
            sections.append(ini.section(f"ipv{version}", () if version == 4 else (("method", "auto"),)))
    return ini.render(_family(section, wanted) for section in sections)


def _family(section: ini.Section, wanted: AddressSpec) -> ini.Section:
    if section.name not in ("ipv4", "ipv6"):
        return section
    version = int(section.name[-1])
    old = (*section.values("method"), "")[0]
    return section.replaced(_is_address, _settings(version, old, wanted))


def _is_address(key: str, value: str) -> bool:
    return _ADDRESSES.fullmatch(key) is not None or (
        _ROUTE.fullmatch(key) is not None and _DEFAULT.match(value) is not None
    )


def _settings(version: int, old: str, wanted: AddressSpec) -> Iterator[tuple[str, str]]:
    addresses = wanted.of(version)
    for number, address in enumerate(addresses, 1):
        yield f"address{number}", address
    if gateway := wanted.gateway(version):
        yield "gateway", gateway
    if servers := wanted.servers(version):
        yield "dns", "".join(f"{server};" for server in servers)
    yield "method", "manual" if addresses else _method_without(version, old)


def _method_without(version: int, old: str) -> str:
    if version == 4:
        return "disabled"
    return "link-local" if old in ("manual", "dhcp", "") else old
