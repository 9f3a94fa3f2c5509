from __future__ import annotations

from dataclasses import replace

import pytest

from dtesx.base.errors import UsageError
from dtesx.model.network import Link, LinkKind, Network, Nic
from dtesx.model.record import JobRecord
from dtesx.model.replica import AddressSpec
from dtesx.model.vmware import VirtualNic
from dtesx.model.wiring import Card
from dtesx.recovery.wiring import wiring
from tests.unit.recovery.world import INVENTORY, record

OTHER = AddressSpec(("192.0.2.5/24",))
CARDS = (
    Nic("eth0", "52:54:00:00:00:01", driver="i40e", master="bond0"),
    Nic("eth1", "52:54:00:00:00:02", driver="i40e", master="bond0"),
    Nic("eth2", "52:54:00:00:00:03", ("10.0.2.2/24",)),
)
BOND = Link("bond0", LinkKind.BOND, CARDS[0].mac, ("eth0", "eth1"), ("10.0.0.2/24",))


def job(networks: dict[str, str | None], addresses: dict[str, AddressSpec]) -> JobRecord:
    made = record()
    replica = replace(made.spec.replica, networks=networks, addresses=addresses)
    source = replace(INVENTORY, nics=CARDS, network=Network(links=(BOND,)))
    return replace(made, spec=replace(made.spec, replica=replica), inventory=source)


def made(*macs: str) -> tuple[VirtualNic, ...]:
    return tuple(VirtualNic(4000 + key, mac, "VM Network") for key, mac in enumerate(macs))


def test_cards_stand_for_the_mapped_ones_in_their_order() -> None:
    found = wiring(job({"*": "lan", "eth1": None}, {}), made("00:50:56:00:00:0A", "00:50:56:00:00:0B")[::-1])
    assert found.cards == (
        Card("eth0", "00:50:56:00:00:0a", "52:54:00:00:00:01", "i40e"),
        Card("eth2", "00:50:56:00:00:0b", "52:54:00:00:00:03"),
    )
    assert (found.missing, found.addressing) == (("eth1",), {})


def test_a_bond_is_given_the_addresses_of_its_card() -> None:
    found = wiring(job({"*": "lan"}, {"eth1": OTHER, "eth2": OTHER}), made("00:50:56:00:00:0a"))
    assert found.addressing == {"bond0": OTHER, "eth2": OTHER}
    assert found.source_addresses == {"bond0": ("10.0.0.2/24",), "eth2": ("10.0.2.2/24",)}


def test_addresses_of_a_card_without_counterpart_do_not_matter() -> None:
    assert wiring(job({"eth0": "lan"}, {"eth2": OTHER}), made("00:50:56:00:00:0a")).addressing == {}


def test_cards_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(UsageError, match="two network interfaces"):
        wiring(job({"*": "lan"}, {}), made("52:54:00:00:00:02", "00:50:56:00:00:0b"))
