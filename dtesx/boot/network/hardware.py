"""Matches by a card's driver or its place on the bus: the replica's cards have others, but the same names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from dtesx.boot.network import ini, netplan
from dtesx.boot.network.files import KEYFILES, NETPLAN, NETWORKD, Files, Unwritable, below
from dtesx.model.wiring import Card

_NETWORKD = ("Driver", "Path")
_KEYFILE = ("driver", "path")
_REPLICA = "vmxnet3"


def by_name(files: Files, cards: Sequence[Card]) -> dict[str, str]:
    """The files with such matches replaced by the names of the cards that they meant.

    Where a name or MAC address is matched as well, that is enough. What cannot be told (a place on the
    bus alone) stays; ``left`` names it.
    """
    changed = dict(files)
    for path in below(files, NETWORKD, ".network"):
        changed[path] = _sections(files[path], "Match", _NETWORKD, "Name", " ", cards)
    for path in below(files, KEYFILES):
        changed[path] = _sections(files[path], "match", _KEYFILE, "interface-name", ";", cards)
    for path in below(files, NETPLAN, ".yaml"):
        changed[path] = _netplan(path, files[path], cards)
    return changed


def left(files: Files) -> Iterator[tuple[str, str]]:
    """Paths that still match by a driver or a place, with the words."""
    places = ((NETWORKD, "Match", _NETWORKD), (KEYFILES, "match", _KEYFILE))
    for directory, name, keys in places:
        for path in below(files, directory):
            if "/10-dtesx-" not in path:
                pairs = (pair for s in ini.parse(files[path]) if s.name == name for pair in s.pairs)
                yield from ((path, f"{key}={value}") for key, value in pairs if key in keys)
    for entry in netplan.entries(files):
        if "driver" in entry.match and entry.match["driver"] != _REPLICA:
            yield entry.path, f"driver: {entry.match['driver']}"


def _sections(
    text: str, name: str, keys: tuple[str, ...], by: str, separator: str, cards: Sequence[Card]
) -> str:
    sections = ini.parse(text)
    pairs = [pair for section in sections if section.name == name for pair in section.pairs]
    if not any(key in keys for key, _ in pairs):
        return text
    known = any(key == by or key.lower().endswith("macaddress") for key, _ in pairs)
    known = known or any(s.values("interface-name") or s.values("mac-address") for s in sections)
    drivers = [word for key, value in pairs if key == keys[0] for word in re.split(r"[\s;]+", value) if word]
    meant = [] if known else _meant(drivers, cards)
    # A place on the bus beside the driver picks some of its cards.
    if not known and (not meant or any(key == keys[1] for key, _ in pairs)):
        return text
    put = [(by, separator.join(meant))] if meant else []
    return ini.render(
        section.replaced(lambda key, _: key in keys, put) if section.name == name else section
        for section in sections
    )


def _meant(patterns: Sequence[str], cards: Sequence[Card]) -> list[str]:
    return [card.name for card in cards if any(fnmatchcase(card.source_driver, p) for p in patterns)]


def _netplan(path: str, text: str, cards: Sequence[Card]) -> str:
    try:
        entries = netplan.entries({path: text})
    except Unwritable:
        return text  # the check tells of it
    # From the end, so that the marks before stay right.
    for entry in reversed([entry for entry in entries if "driver" in entry.match]):
        rest = {key: value for key, value in entry.match.items() if key != "driver"}
        meant = _meant(_words(entry.match["driver"]), cards)
        if rest:
            text = netplan.with_match(text, entry, rest)
        elif len(meant) == 1:
            text = netplan.with_match(text, entry, {"name": meant[0]})
        elif meant and len(meant) == len(cards):
            text = netplan.with_match(text, entry, {"driver": _REPLICA})
    return text


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else [str(value)]
