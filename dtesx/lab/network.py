"""The lab's network: namespaces joined by a bridge; the host itself gets nothing but loopback sockets.

One namespace is the switch: it holds the bridge, the gateway address and every tap of a QEMU
machine. Machines that are process groups have a namespace each, with ``eth0`` in it and the other
end of the pair in the bridge. The addresses repeat in every lab; the names never do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256

from dtesx.base.errors import NotFound
from dtesx.base.run import run
from dtesx.lab.namespaces import RUN_NETNS

PREFIX = "dtesx-"
SUBNET = "10.77.0"
GATEWAY = f"{SUBNET}.1"
GATEWAY_MAC = "52:54:00:77:00:01"
VCENTER = f"{SUBNET}.2"
APPLIANCE = f"{SUBNET}.10"
SOURCE = f"{SUBNET}.11"
BRIDGE = "lab0"
_MAX_INTERFACE_NAME = 15


@dataclass(frozen=True)
class Port:
    """A machine's network namespace, plugged into the switch."""

    machine: str
    namespace: str
    address: str


class Network:
    """The switch of one lab. ``identity`` is short and unique on this host."""

    def __init__(self, identity: str) -> None:
        self.namespace = f"{PREFIX}{identity}"
        self.identity = identity

    def build(self) -> None:
        """Make the switch with its bridge, the gateway and the vCenter's address."""
        run(["ip", "netns", "add", self.namespace])
        self._ip("link", "set", "lo", "up")
        # With an address of its own; else it takes its lowest port's, and changes as machines come and go:
        # an answer on its way just then is lost, and sent again to the old address for 100 seconds.
        bridge = ("link", "add", BRIDGE, "address", GATEWAY_MAC, "type", "bridge")
        self._ip(*bridge, "stp_state", "0", "forward_delay", "0")
        for address in (GATEWAY, VCENTER):
            self._ip("address", "add", f"{address}/24", "dev", BRIDGE)
        self._ip("link", "set", BRIDGE, "up")

    @contextmanager
    def port(self, machine: str, address: str, mac: str) -> Iterator[Port]:
        """A namespace for a process-group machine, plugged in; gone at the end."""
        name = self.namespace_of(machine)
        outer = interface_name("v", machine)
        with ExitStack() as stack:
            run(["ip", "netns", "add", name])
            stack.callback(_delete, name)
            self._ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
            stack.callback(self._ip, "link", "delete", outer, missing_ok=True)
            self._ip("link", "set", outer, "master", BRIDGE, "up")
            inner = ("ip", "-n", name)
            run([*inner, "link", "set", "lo", "up"])
            run([*inner, "link", "set", "eth0", "address", mac, "up"])
            run([*inner, "address", "add", f"{address}/24", "dev", "eth0"])
            run([*inner, "route", "add", "default", "via", GATEWAY])
            yield Port(machine, name, address)

    @contextmanager
    def tap(self, machine: str) -> Iterator[str]:
        """A tap for a QEMU machine, in the switch's namespace and bridge; yields its name."""
        name = interface_name("t", machine)
        self._ip("tuntap", "add", "dev", name, "mode", "tap")
        try:
            self._ip("link", "set", name, "master", BRIDGE, "up")
            yield name
        finally:
            self._ip("link", "delete", name, missing_ok=True)

    def namespace_of(self, machine: str) -> str:
        """The network namespace of a process-group machine."""
        return f"{self.namespace}-{machine}"

    def unplug(self, machine: str) -> None:
        """Take a machine's link down at once, as when its cable is pulled; NotFound if there is none."""
        if not (RUN_NETNS / self.namespace_of(machine)).exists():
            raise NotFound(
                f"lab {self.identity} has no machine {machine}", hint="see its machines: dtesx lab status"
            )
        self._ip("link", "set", interface_name("v", machine), "down")

    def _ip(self, *words: str, missing_ok: bool = False) -> None:
        run(["ip", "-n", self.namespace, *words], ok=(0, 1, 255) if missing_ok else (0,))


def interface_name(kind: str, machine: str) -> str:
    """An interface name for ``machine``: the kernel allows 15 characters, so long names are hashed.

    >>> interface_name("v", "source")
    'v-source'
    """
    name = f"{kind}-{machine}"
    if len(name) <= _MAX_INTERFACE_NAME and machine.isascii() and machine.replace("-", "").isalnum():
        return name
    return f"{kind}-{sha256(machine.encode()).hexdigest()[:10]}"


@contextmanager
def lab_network(identity: str) -> Iterator[Network]:
    """The whole network of one lab; every namespace of it is gone at the end."""
    network = Network(identity)
    try:
        network.build()
        yield network
    finally:
        remove_namespaces(identity)


def namespaces_of(identity: str) -> tuple[str, ...]:
    """The names of a lab's network namespaces that exist now, machines' before the switch's."""
    switch = f"{PREFIX}{identity}"
    if not RUN_NETNS.is_dir():
        return ()
    names = [p.name for p in RUN_NETNS.iterdir() if p.name == switch or p.name.startswith(f"{switch}-")]
    return tuple(sorted(names, reverse=True))


def processes_in(namespace: str) -> tuple[int, ...]:
    """The ids of all processes that run in a named network namespace."""
    return tuple(int(word) for word in run(["ip", "netns", "pids", namespace]).text.split())


def remove_namespaces(identity: str) -> None:
    """Delete a lab's network namespaces, with every interface in them."""
    for name in namespaces_of(identity):
        _delete(name)


def _delete(name: str) -> None:
    if (RUN_NETNS / name).exists():
        run(["ip", "netns", "delete", name])
