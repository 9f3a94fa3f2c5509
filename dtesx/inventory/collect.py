"""One look at the machine, container or namespace that this process runs in."""

from __future__ import annotations

import platform
from pathlib import Path

from dtesx.base.errors import CommandFailed
from dtesx.base.run import run
from dtesx.inventory import configuration, hosting, network, starting, system
from dtesx.inventory.assembling import assemble
from dtesx.inventory.reading import Notes, read_storage
from dtesx.model.inventory import Inventory
from dtesx.model.network import Network, Nic

_ROOT = Path("/")
_INTERFACES = Path("/sys/class/net")


def collect() -> Inventory:
    """Look at this machine. In a namespace only what its own mounts are on is listed of the host's disks.

    Raises CommandFailed when lsblk, findmnt or ip is missing or fails; what else could not be
    looked at is told in ``unread``.
    """
    notes = Notes()
    storage = assemble(read_storage(notes))
    nics, joined = _network(notes)
    return Inventory(
        hostname=system.hostname(),
        os=system.operating_system(),
        kernel=platform.release(),
        architecture=platform.machine(),
        firmware=system.firmware(),
        cpus=system.cpus(),
        memory_bytes=system.memory_bytes(),
        devices=storage.devices,
        file_systems=storage.file_systems,
        swaps=storage.swaps,
        nics=nics,
        volume_groups=storage.volume_groups,
        unprotected=storage.unprotected,
        network=joined,
        processor=system.processor(),
        boot=starting.find_boot(_ROOT),
        security=hosting.find_security(_ROOT),
        containers=hosting.find_containers(_ROOT),
        virtualization=_virtualization(notes),
        unread=notes.sentences,
    )


def _network(notes: Notes) -> tuple[tuple[Nic, ...], Network]:
    addresses = run(["ip", "-details", "-json", "address"]).text
    routes = "\n".join(
        # Status 1 or 2: this kernel runs without the address family.
        run(["ip", family, "-json", "route", "show", "default"], ok=(0, 1, 2)).text.replace("\n", "")
        for family in ("-4", "-6")
    )
    files, problems = configuration.find_files(_ROOT)
    for problem in problems:
        notes.add(problem)
    servers, search = configuration.read_resolver(_ROOT)
    joined = Network(
        stacks=configuration.stacks_in_use(files, _ROOT),
        files=files,
        links=network.parse_links(addresses, routes),
        name_servers=servers,
        search=search,
    )
    return network.parse_nics(addresses, routes, _drivers()), joined


def _drivers() -> dict[str, str]:
    links = {path.name: path / "device" / "driver" for path in _INTERFACES.glob("*")}
    return {name: link.resolve().name for name, link in links.items() if link.exists()}


def _virtualization(notes: Notes) -> str:
    try:
        return system.virtualization()
    except CommandFailed as error:
        notes.add(error.message)
        return ""
