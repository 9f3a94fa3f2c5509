"""What the lab calls a machine. A process group in namespaces is one, and so is a guest of QEMU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dtesx.base.run import Completed


class Machine(Protocol):
    """One machine of the lab: started, asked, stopped. Everything else is its own business."""

    name: str

    def start(self) -> None:
        """Start it; returns when it runs, which for a real machine is not yet booted."""

    def stop(self) -> None:
        """End it at once, as by its power button; does nothing when it is off."""

    def alive(self) -> bool:
        """Whether it runs now."""

    @property
    def address(self) -> str:
        """Its address in the lab's network; empty while unknown."""

    @property
    def log(self) -> Path:
        """Its console: what the machine wrote since its first start."""

    def run(self, argv: Sequence[str], *, timeout: float = 60.0, ok: Sequence[int] = (0,)) -> Completed:
        """Run a program in it to its end; CommandFailed when its status is not in ``ok``."""


class Server(Machine, Protocol):
    """A machine of the lab with services of its own, which may be killed one by one."""

    def lose(self) -> None:
        """Crash it: everything in it ends and its link goes down."""

    def start_service(self, name: str) -> int:
        """Start a service and wait until it is ready; its id on the host."""

    def stop_service(self, name: str, *, patience: float = 5.0) -> None:
        """End a service, after ``patience`` seconds (0: at once) by SIGKILL."""

    def service_alive(self, name: str) -> bool:
        """Whether a service runs."""


@dataclass(frozen=True)
class AttachedDisk:
    """A virtual disk as the simulator hands it over.

    ``file`` holds the raw content, ``uuid`` is vSphere's backing UUID (6000C29x-...), ``size`` is in
    bytes, ``controller`` the SCSI bus number and ``unit`` the place on it.
    """

    file: Path
    uuid: str
    size: int
    controller: int = 0
    unit: int = 0

    @property
    def wwn(self) -> str:
        """The identifier under which a guest sees the disk: 32 lower-case hex digits."""
        return self.uuid.replace("-", "").replace(" ", "").lower()


class Appliance(Server, Protocol):
    """The virtual recovery appliance. ``uuid`` is its BIOS UUID, ``state`` its service's directory in it."""

    uuid: str
    state: Path

    @property
    def published(self) -> Path:
        """Where the host finds ``admin-token`` and ``identity.crt`` of its API."""

    def attach(self, disk: AttachedDisk) -> Path:
        """Hot-add a disk; its device in the appliance. Nothing happens when it is there already."""

    def detach(self, disk: AttachedDisk) -> None:
        """Hot-remove a disk; Conflict while it is used. Nothing happens when it is not there."""


@dataclass(frozen=True)
class NetworkCard:
    """A virtual network adapter of a replica; ``network`` is the port group's name."""

    mac: str
    network: str = ""


@dataclass(frozen=True)
class ReplicaHardware:
    """The virtual hardware of a machine at power-on.

    ``firmware`` is ``bios`` or ``efi``. At least ``controllers`` SCSI controllers are there, with disks or
    without; disks that come later need theirs.
    """

    name: str
    uuid: str
    cpus: int
    memory_mib: int
    disks: tuple[AttachedDisk, ...]
    nics: tuple[NetworkCard, ...]
    firmware: str = "bios"
    controllers: int = 0
