"""Which of the source's network cards each of a replica's stands for."""

from __future__ import annotations

from dtesx.base.errors import DtesxError, UsageError
from dtesx.model.record import JobRecord
from dtesx.model.vmware import VirtualNic
from dtesx.model.wiring import Card, Wiring


def wiring(record: JobRecord, nics: tuple[VirtualNic, ...]) -> Wiring:
    """Which of the source's cards each of the replica's stands for (pure).

    The replica's NICs were created in the order of the source's mapped ones.
    """
    if record.inventory is None:
        raise DtesxError("the source's inventory is missing", hint="create the job again")
    inventory, wanted = record.inventory, record.spec.replica
    mapped = [nic for nic in inventory.nics if wanted.network_for(nic.name)]
    ordered = sorted(nics, key=lambda nic: nic.key)
    pairs = zip(ordered, mapped, strict=False)
    changed = [(inventory.holder(nic), nic.name) for nic in mapped if nic.name in wanted.addresses]
    try:
        return Wiring(
            tuple(Card(nic.name, made.mac.lower(), nic.mac, nic.driver) for made, nic in pairs),
            missing=tuple(nic.name for nic in inventory.nics if nic not in mapped),
            addressing={holder.name: wanted.addresses[name] for holder, name in changed},
            source_addresses={holder.name: holder.addresses for holder, _ in changed},
        )
    except ValueError as error:
        raise UsageError(str(error), hint="check the network mapping of the job") from error
