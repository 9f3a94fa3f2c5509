"""Network cards of the source and their counterparts."""

from __future__ import annotations

from dataclasses import replace

from dtesx.model.inventory import Inventory
from dtesx.model.network import Nic
from dtesx.model.plan import NicMapping
from dtesx.model.replica import ReplicaSpec
from dtesx.model.vmware import Offer


def map_nics(inventory: Inventory, replica: ReplicaSpec, offer: Offer) -> tuple[NicMapping, ...]:
    """Each card with the port group of its counterpart, and the addresses that this will have."""
    distributed = {network.name for network in offer.networks if network.distributed}
    return tuple(_mapping(nic, inventory, replica, distributed) for nic in inventory.nics)


def _mapping(nic: Nic, inventory: Inventory, replica: ReplicaSpec, distributed: set[str]) -> NicMapping:
    network = replica.network_for(nic.name) or ""
    found = NicMapping(nic.name, nic.mac, network, network in distributed, nic.master)
    if not network:
        return found
    wanted = replica.addresses.get(nic.name)
    if wanted is not None:
        return replace(
            found,
            addresses=wanted.addresses,
            gateways=wanted.gateways,
            name_servers=wanted.dns,
            changed=True,
        )
    holder = inventory.holder(nic)
    servers = inventory.network.name_servers
    return replace(found, addresses=holder.addresses, gateways=holder.gateways, name_servers=servers)
