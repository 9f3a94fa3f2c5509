"""How a replica's network cards stand for those of its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dtesx.model.replica import AddressSpec

_INTERFACE = re.compile(r"[^\s/:]{1,15}")
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")


@dataclass(frozen=True)
class Card:
    """A card of the replica: the interface name that it keeps, and its MAC address, in small letters.

    ``source_mac`` and ``source_driver`` are those of the source's card that it stands for, "" where unknown.
    """

    name: str
    mac: str
    source_mac: str = ""
    source_driver: str = ""

    def __post_init__(self) -> None:
        if not _MAC.fullmatch(self.mac) or not _INTERFACE.fullmatch(self.name):
            raise ValueError(f"{self.name!r} with MAC {self.mac!r} is not a network interface")


@dataclass(frozen=True)
class Wiring:
    """The replica's ``cards``, and what is left of the source's network beside them.

    ``missing`` are the interfaces of the source's cards that have no counterpart. ``addressing`` has
    the interfaces (cards, or bonds and bridges on them) that get other addresses; all others keep
    theirs. ``source_addresses`` are what those interfaces had (CIDR). Raises ValueError when a card has
    the MAC address of another or of another's source: a second run could not tell them apart.
    """

    cards: tuple[Card, ...] = ()
    missing: tuple[str, ...] = ()
    addressing: Mapping[str, AddressSpec] = field(default_factory=dict)
    source_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for card in self.cards:
            others = [other for other in self.cards if other is not card]
            if any(card.mac in (other.mac, other.source_mac) for other in others):
                raise ValueError(f"MAC {card.mac} is that of two network interfaces")

    @property
    def macs(self) -> dict[str, str]:
        """The MAC address that takes the place of each of the source's."""
        return {card.source_mac: card.mac for card in self.cards if card.source_mac}

    def mac(self, name: str) -> str:
        """The MAC address of the card with that name; "" when there is none."""
        return next((card.mac for card in self.cards if card.name == name), "")
