"""Does the network configuration fit the replica's cards? Findings, without changing anything (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from dtesx.boot.network import hardware, ifupdown, keyfiles, macs, netplan, networkd
from dtesx.boot.network.files import (
    HOSTS,
    INTERFACES,
    KEYFILES,
    NETWORKD,
    RESOLVER,
    RULES,
    Files,
    Unwritable,
    below,
)
from dtesx.boot.network.rewrite import rewrite
from dtesx.boot.network.survey import Described, members, survey
from dtesx.model.network import LinkKind
from dtesx.model.validation import Check, Finding, Verdict
from dtesx.model.wiring import Wiring

_BOND_MODE = "active-backup"


def check(files: Files, wiring: Wiring) -> tuple[Finding, ...]:
    """What would not work, or not as expected, with these files once they are rewritten for the cards.

    ``files`` are the source's or the replica's, before or after ``rewrite``. One finding of level
    PASS when all is well.
    """
    after = rewrite(files, wiring)
    found = [Finding(Check.NETWORK_ADDRESSES, Verdict.ERROR, text, _BY_HAND) for text in after.unwritten]
    try:
        described = survey(after.files)
    except Unwritable as reason:
        return (
            *found,
            Finding(Check.NETWORK_UNREADABLE, Verdict.ERROR, str(reason), "correct it on the source"),
        )
    found += _missing(described, wiring)
    found += _links(described, wiring)
    found += _unconfigured(after.files, described, wiring)
    found += _hardware(after.files, wiring)
    found += _unread(after.files)
    return tuple(dict.fromkeys(found)) or (_PASS,)


_BY_HAND = "give the interface a configuration of its own on the source, or change it after failover"
_PASS = Finding(Check.NETWORK, Verdict.PASSED, "the network configuration fits the replica's cards")


def _missing(described: tuple[Described, ...], wiring: Wiring) -> Iterator[Finding]:
    for name in wiring.missing:
        paths = sorted({found.path for found in described if found.name == name})
        if paths:
            yield Finding(
                Check.NETWORK_CARD_MISSING,
                Verdict.WARNING,
                f"{', '.join(paths)} configures {name}, which has no counterpart on the replica",
                "map it in replica.networks, or expect the start to wait for it and to report a failed unit",
            )


def _links(described: tuple[Described, ...], wiring: Wiring) -> Iterator[Finding]:
    for found in described:
        if found.kind is None or not found.name:
            continue
        below_it = members(described, found.name)
        gone = [name for name in below_it if name in wiring.missing]
        if gone:
            yield Finding(
                Check.NETWORK_MEMBER_MISSING,
                Verdict.ERROR if len(gone) == len(below_it) else Verdict.WARNING,
                f"{found.name} rests on {', '.join(gone)}, which has no counterpart on the replica",
                f"map {', '.join(gone)} in replica.networks",
            )
        if below_it or found.kind is not LinkKind.VLAN:
            yield from _switch(found)


def _switch(found: Described) -> Iterator[Finding]:
    """What a virtual switch does otherwise than a real one."""
    if found.kind is LinkKind.BOND and found.mode not in ("", _BOND_MODE):
        yield Finding(
            Check.NETWORK_BOND_MODE,
            Verdict.WARNING,
            f"{found.name} is a bond of mode {found.mode}, which needs its counterpart in the switch",
            f"a virtual switch has none: use {_BOND_MODE}, or map one card and let vSphere team the uplinks",
        )
    elif found.kind is LinkKind.VLAN:
        yield Finding(
            Check.NETWORK_VLAN,
            Verdict.WARNING,
            f"{found.name} is a VLAN: its frames are tagged by the replica itself",
            "map the card below to a port group that lets tags through (VLAN 4095, or a trunk range)",
        )
    elif found.kind is LinkKind.BRIDGE:
        yield Finding(
            Check.NETWORK_BRIDGE,
            Verdict.WARNING,
            f"{found.name} is a bridge: what is behind it sends with MAC addresses of its own",
            "allow promiscuous mode (or MAC learning) and forged transmits in the port group",
        )


def _unconfigured(files: Files, described: tuple[Described, ...], wiring: Wiring) -> Iterator[Finding]:
    named = {found.name for found in described} | {name for found in described for name in found.members}
    for card in wiring.cards:
        if card.name not in named and not _is_matched(files, card.name, card.mac):
            yield Finding(
                Check.NETWORK_CARD_UNCONFIGURED,
                Verdict.WARNING,
                f"no file configures {card.name}",
                "where NetworkManager runs it asks DHCP for an address; else configure it on the source",
            )


def _is_matched(files: Files, name: str, mac: str) -> bool:
    """Whether a file is for the card without naming it: by its MAC address, or by a pattern."""
    return (
        any(keyfiles.serves(files[path], name, mac) for path in below(files, KEYFILES))
        or any(networkd.serves(files[path], name, mac) for path in below(files, NETWORKD, ".network"))
        or any(netplan.serves(entry, name, mac) for entry in netplan.entries(files))
        or any(
            mac == found
            for path, text in files.items()
            for found, _ in macs.mentioned(text)
            if _configures(path)
        )
    )


def _configures(path: str) -> bool:
    return path not in (HOSTS, RESOLVER) and not path.startswith(f"{RULES}/") and not path.endswith(".link")


def _hardware(files: Files, wiring: Wiring) -> Iterator[Finding]:
    own = {card.mac for card in wiring.cards}
    for path in filter(_configures, sorted(files)):
        for mac, line in macs.mentioned(files[path]):
            if mac not in own:
                yield Finding(
                    Check.NETWORK_MAC_UNKNOWN,
                    Verdict.WARNING,
                    f"{path} names the MAC address {mac}, which no card of the replica has ({line})",
                    "where it is matched, the interface is not found; where it is set, the port group must "
                    "allow MAC address changes and forged transmits",
                )
    for path, words in hardware.left(files):
        yield Finding(
            Check.NETWORK_HARDWARE,
            Verdict.WARNING,
            f"{path} matches by {words}, which is another on the replica",
            "match by name (in .link files by MAC address) on the source",
        )


def _unread(files: Files) -> Iterator[Finding]:
    for path in ifupdown.paths(files):
        for stanza in ifupdown.parse(files[path]):
            if stanza.words[:1] in (("source",), ("source-directory",)):
                for word in stanza.words[1:]:
                    if not word.startswith((f"{INTERFACES}.d", "interfaces.d")):
                        yield Finding(
                            Check.NETWORK_UNREAD,
                            Verdict.WARNING,
                            f"{path} reads {word}, which is not looked at",
                            f"move it to {INTERFACES}.d on the source",
                        )
