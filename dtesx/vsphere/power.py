"""Starting, stopping, removing a VM, and waiting until its guest has an address."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from pyVmomi import vmodl

from dtesx.base.errors import Conflict, ConnectionFailed, UsageError
from dtesx.model.vmware import is_owned
from dtesx.vsphere.collector import TimedOut, properties, watch
from dtesx.vsphere.machines import POWER
from dtesx.vsphere.session import Session
from dtesx.vsphere.tasks import run_task

_ADDRESS_PATHS = ("guest.ipAddress", "guest.net", POWER)
_EVERY = 2.0


def power_on(session: Session, machine: Any) -> None:
    """Start a VM; one that runs is left alone."""
    if _state(session, machine) != "poweredOn":
        run_task(session, lambda: machine.PowerOnVM_Task())


def power_off(session: Session, machine: Any) -> None:
    """Switch a VM off at once, like pulling its plug; one that is off is left alone."""
    if _state(session, machine) != "poweredOff":
        run_task(session, lambda: machine.PowerOffVM_Task())


def wait_for_address(
    session: Session, machine: Any, *, timeout: float, on_wait: Callable[[float], None]
) -> str:
    """Wait until the guest's tools report an address that others can reach.

    ``on_wait`` is called about every two seconds with the seconds waited; it may raise to give up.
    Raises Conflict when the VM stops meanwhile, ConnectionFailed after ``timeout`` seconds.
    """
    try:
        return watch(
            session,
            machine,
            _ADDRESS_PATHS,
            timeout=timeout,
            found=_address_of_running,
            on_wait=on_wait,
            every=_EVERY,
        )
    except TimedOut as error:
        raise ConnectionFailed(
            f"the guest reported no address within {timeout:.0f} s",
            hint="look at the VM's console in the vSphere client; the guest needs open-vm-tools and a "
            "network with DHCP or the right fixed address",
        ) from error


def guest_address(values: Mapping[str, Any]) -> str | None:
    """The best address among the guest's properties: the primary one, else IPv4 before IPv6 (pure)."""
    cards = values.get("guest.net") or ()
    found = [values.get("guest.ipAddress"), *(address for card in cards for address in card.ipAddress or ())]
    usable = [address for address in found if address and _reachable(address)]
    return min(usable, key=lambda address: ":" in address, default=None)


def destroy(session: Session, machine: Any, owner: str) -> None:
    """Switch off and remove a VM with its files, if its notes name ``owner``; fine when it is gone.

    Raises Conflict when the VM is somebody else's.
    """
    if not owner:
        raise UsageError("no owner was given", hint="name the job that the VM belongs to")
    try:
        values = properties(session, machine, ("name", "config.annotation"))
    except vmodl.fault.ManagedObjectNotFound:
        return
    if not is_owned(str(values.get("config.annotation", "")), owner):
        raise Conflict(
            f"the VM {values.get('name')} does not belong to this job any more: its notes do not say so",
            hint="remove the VM by hand in the vSphere client if it is not needed",
        )
    power_off(session, machine)
    run_task(session, lambda: machine.Destroy_Task())


def _address_of_running(values: Mapping[str, Any]) -> str | None:
    if values and str(values.get(POWER, "")) != "poweredOn":
        raise Conflict(
            "the VM is not running (any more)",
            hint="look at its console and events in the vSphere client, then run the command again",
        )
    return guest_address(values)


def _reachable(address: str) -> bool:
    parsed = ipaddress.ip_address(address.split("%")[0])
    return not (parsed.is_link_local or parsed.is_loopback or parsed.is_unspecified)


def _state(session: Session, machine: Any) -> str:
    return str(properties(session, machine, (POWER,)).get(POWER, ""))
