"""The network configuration of a replica, made of its source's (pure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dtesx.boot.network import (
    hardware,
    ifcfg,
    ifupdown,
    keyfiles,
    macs,
    names,
    netplan,
    networkd,
    resolver,
    wicked,
)
from dtesx.boot.network.files import (
    INTERFACES,
    KEYFILES,
    NETPLAN,
    NETWORKD,
    Files,
    Unwritable,
    below,
)
from dtesx.model.replica import AddressSpec
from dtesx.model.wiring import Wiring


@dataclass(frozen=True)
class Rewritten:
    """The files as they are to be, and sentences about what could not be written."""

    files: Files
    unwritten: tuple[str, ...] = ()


def rewrite(files: Files, wiring: Wiring) -> Rewritten:
    """The files with which the replica's network works: names kept, MAC addresses and addresses new.

    What is given another addressing gets it in each stack that has something about it: only one of
    them is in charge, and which one is not always told by files.
    """
    current: Files = macs.replace(files, wiring.macs)
    current = names.keep(hardware.by_name(current, wiring.cards), wiring.cards)
    unwritten: list[str] = []
    for name, wanted in wiring.addressing.items():
        try:
            current = _readdressed(current, name, wiring.mac(name), wanted)
        except Unwritable as reason:
            unwritten.append(f"{name} keeps the source's addresses: {reason}")
    return Rewritten(resolver.follow(current, wiring), tuple(unwritten))


def _readdressed(files: Files, name: str, mac: str, wanted: AddressSpec) -> Files:
    stacks: tuple[Callable[[Files], Files | None], ...] = (
        lambda found: netplan.readdress(found, name, mac, wanted),
        lambda found: keyfiles.readdress(found, name, mac, wanted),
        lambda found: ifcfg.readdress(found, name, mac, wanted),
        lambda found: wicked.readdress(found, name, wanted),
        lambda found: ifupdown.readdress(found, name, wanted),
        lambda found: networkd.readdress(found, name, mac, wanted),
    )
    known = False
    for stack in stacks:
        changed = stack(files)
        known = known or changed is not None
        files = files if changed is None else changed
    return files if known else _created(files, name, mac, wanted)


def _created(files: Files, name: str, mac: str, wanted: AddressSpec) -> Files:
    """A configuration for a card that no file is about, by the first stack that has files at all."""
    if not mac:
        raise Unwritable("no file configures it")
    if below(files, NETPLAN, ".yaml"):
        return netplan.create(files, name, wanted)
    if ifcfg.paths(files):
        return ifcfg.create(files, name, wanted)
    if wicked.paths(files):
        return wicked.create(files, name, wanted)
    if below(files, NETWORKD, ".network"):
        return networkd.create(files, name, wanted)
    if INTERFACES in files and not below(files, KEYFILES):
        return ifupdown.create(files, name, wanted)
    return keyfiles.create(files, name, wanted)
