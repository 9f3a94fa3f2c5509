"""Interface names: each card is called as on the source, whatever the hardware is now.

systemd.link(5) files match the replica's MAC addresses; udev applies them in the root file system even
to a card that the initramfs has renamed, and on all supported distributions.
"""

from __future__ import annotations

import re

from dtesx.boot.network import ini
from dtesx.boot.network.files import NETWORKD, RULES, Files, below
from dtesx.model.wiring import Card

_OURS = f"{NETWORKD}/10-dtesx-"
# VLANs and bridges inherit their card's MAC: only a real card's driver may match.
_DRIVERS = "vmxnet3 e1000e e1000"
_OFF = "# not on this machine (dtesx): "
MASK = f"{RULES}/80-net-setup-link.rules"
_RULES = f"{RULES}/70-dtesx-net.rules"
_NAMES_CARD = re.compile(r"\bNAME\s*:?=(?!=)")
_PLACE = re.compile(r"\b(KERNELS|DEVPATH|ID_PATH|DRIVERS)\b[^,]*==\s*\"(?!\?\*\")")
_HEAD = "# Written by dtesx: keeps the interface name of the protected server.\n"


def keep(files: Files, cards: tuple[Card, ...]) -> dict[str, str]:
    """The files with which the cards keep their names, and nothing of an earlier run."""
    kept = {path: text for path, text in files.items() if not path.startswith(_OURS) and path != _RULES}
    kept = {path: _without_places(text) if _is_rules(path) else text for path, text in kept.items()}
    named = [card for card in cards if not _is_named(kept, card)]
    kept |= {f"{_OURS}{card.name}.link": _link(card) for card in named}
    if cards and masked(files):
        kept[_RULES] = _HEAD + "".join(_rule(card) for card in cards)
    return kept


def masked(files: Files) -> bool:
    """Whether the administrator has switched .link names off: udev's rule for them is an empty file."""
    return MASK in files and not files[MASK].strip()


def _is_rules(path: str) -> bool:
    return path.startswith(f"{RULES}/") and path.endswith(".rules")


def _without_places(text: str) -> str:
    """Rules that name a card by its place on the bus or its driver would name another one here."""
    return "".join(_OFF + line if _is_placed(line) else line for line in text.splitlines(keepends=True))


def _is_placed(line: str) -> bool:
    if line.lstrip().startswith("#") or 'SUBSYSTEM=="net"' not in line or not _NAMES_CARD.search(line):
        return False
    if line.rstrip().endswith("\\"):
        return False  # a comment would not take in the lines that go on with it
    return "ATTR{address}" not in line and "ATTRS{address}" not in line and bool(_PLACE.search(line))


def _is_named(files: Files, card: Card) -> bool:
    """Whether a .link file of the administrator's own already gives that card its name."""
    for path in below(files, NETWORKD, ".link"):
        if path > f"{_OURS}{card.name}.link":
            # Of several that match, udev takes the first.
            found = [s for s in ini.parse(files[path]) if s.name in ("Match", "Link")]
            match = next((s for s in found if s.name == "Match"), None)
            names = [name for s in found if s.name == "Link" for name in s.values("Name")]
            if match and card.mac in _macs(match) and names[-1:] == [card.name]:
                return _matches_by_mac_alone(match)
    return False


def _macs(match: ini.Section) -> list[str]:
    values = (*match.values("MACAddress"), *match.values("PermanentMACAddress"))
    return [word.lower().replace("-", ":") for value in values for word in value.split()]


def _matches_by_mac_alone(match: ini.Section) -> bool:
    return {key for key, _ in match.pairs} <= {"MACAddress", "PermanentMACAddress", "Type"}


def _link(card: Card) -> str:
    return f"{_HEAD}[Match]\nMACAddress={card.mac}\nDriver={_DRIVERS}\n\n[Link]\nName={card.name}\n"


def _rule(card: Card) -> str:
    return (
        f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{card.mac}", '
        f'ATTR{{type}}=="1", NAME="{card.name}"\n'
    )
