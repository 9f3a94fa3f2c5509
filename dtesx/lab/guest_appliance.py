"""The appliance as a guest of QEMU: what ESXi would do with its disks, QEMU does while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dtesx.base.errors import Conflict, ConnectionFailed
from dtesx.base.files import private_directory
from dtesx.lab import network
from dtesx.lab.appliance import MAC
from dtesx.lab.debian import BaseTree
from dtesx.lab.guest import Guest, Surroundings
from dtesx.lab.guest_image import make_image
from dtesx.lab.machine import AttachedDisk, NetworkCard, ReplicaHardware
from dtesx.lab.qemu import DirectBoot, place_name
from dtesx.lab.qmp import monitor
from dtesx.lab.serving import Service
from dtesx.model import scsi

STATE = Path("/var/lib/dtesx/appliance")
_PUBLISHED = ("admin-token", "identity.crt")
_MEMORY_MIB = 1536
_COMMAND_LINE = "root=/dev/vda rw fsck.mode=skip net.ifnames=0 console=ttyS0 quiet systemd.show_status=false"
_IN_USE = 16
# Its partitions mounted or swapped on, or something of device-mapper or RAID above it.
_RELEASED = f"""
[ -e "$1" ] || exit 0
disk=$(readlink -f "$1"); name=${{disk##*/}}
for holder in /sys/block/$name/holders/* /sys/block/$name/$name*/holders/*; do
    [ -e "$holder" ] && exit {_IN_USE}
done
[ -z "$(lsblk --noheadings --output MOUNTPOINTS "$disk" | tr -d '[:space:]')" ] || exit {_IN_USE}
blockdev --flushbufs "$disk"
"""
_COMES = 'for i in $(seq 300); do [ -e "$1" ] && exec readlink -f "$1"; sleep 0.1; done; exit 1'
_GOES = 'for i in $(seq 300); do [ -e "$1" ] || exit 0; sleep 0.1; done; exit 1'


class GuestAppliance(Guest):
    """The virtual recovery appliance. ``uuid`` is its BIOS UUID in vSphere and in the guest."""

    def __init__(
        self,
        *,
        tree: BaseTree,
        image: Path,
        surroundings: Surroundings,
        directory: Path,
        services: Sequence[Service],
        uuid: str,
    ) -> None:
        super().__init__(
            ReplicaHardware(
                name="appliance",
                uuid=uuid,
                cpus=2,
                memory_mib=_MEMORY_MIB,
                disks=(),
                nics=(NetworkCard(MAC),),
                controllers=scsi.CONTROLLERS,
            ),
            address=network.APPLIANCE,
            surroundings=surroundings,
            directory=directory,
            services=services,
            direct=DirectBoot(tree.kernel, tree.initrd, _COMMAND_LINE, image),
        )
        self.uuid = uuid
        self.state = STATE
        self._disks: dict[str, AttachedDisk] = {}
        self._plugging = threading.Lock()

    @property
    def published(self) -> Path:
        """Where the host finds the management API's certificate and token."""
        return self.directory / "published"

    def start(self) -> None:
        """Boot it and start its services."""
        super().start()
        for name in _PUBLISHED:
            if self.run(["test", "-e", str(STATE / name)], ok=(0, 1)).status == 0:
                (private_directory(self.published) / name).write_bytes(self.fetch(STATE / name))

    def stop(self) -> None:
        """Power it off hard; a disk that was added while it ran is not there at its next start."""
        super().stop()
        self._disks.clear()

    def attach(self, disk: AttachedDisk) -> Path:
        """Hot-add: return the device that the guest's udev made, when it is there.

        Does nothing when it is attached already. ConnectionFailed when it does not come.
        """
        with self._plugging:
            if not self.alive():
                raise ConnectionFailed(
                    f"disk {disk.uuid} cannot reach the appliance: it is off", hint="power it on first"
                )
            if disk.wwn not in self._disks:
                self._plug(disk)
                self._disks[disk.wwn] = disk
            found = self.run(["sh", "-c", _COMES, "sh", _link(disk)], ok=(0, 1))
            if found.status:
                raise ConnectionFailed(
                    f"the guest does not see disk {disk.uuid}", hint=f"its console is {self.console}"
                )
            return Path(found.text.strip())

    def detach(self, disk: AttachedDisk) -> None:
        """Hot-remove, without asking the guest; does nothing when it is not attached.

        Raises Conflict when something in the guest uses it: there it would be a disk torn out.
        """
        with self._plugging:
            if disk.wwn not in self._disks:
                return
            held = self._disks[disk.wwn]
            look = ["sh", "-ec", _RELEASED, "sh", _link(held)]
            if self.run(look, ok=(0, _IN_USE)).status == _IN_USE:
                raise Conflict(
                    f"disk {disk.uuid} is still in use in the appliance",
                    hint="unmount and deactivate what is on the disk, then try again",
                )
            self._unplug(held)
            del self._disks[disk.wwn]
            self.run(["sh", "-c", _GOES, "sh", _link(held)])

    def disks(self) -> dict[str, AttachedDisk]:
        """The attached disks by identifier (32 hex digits)."""
        return dict(self._disks)

    def _plug(self, disk: AttachedDisk) -> None:
        name = place_name(disk)
        relaxed = {"direct": False, "no-flush": True}
        with monitor(self._monitor) as qemu:
            qemu.execute(
                "blockdev-add",
                **{"node-name": name, "driver": "raw", "discard": "unmap", "cache": relaxed},
                file={"driver": "file", "filename": str(disk.file), "discard": "unmap", "cache": relaxed},
            )
            try:
                qemu.execute(
                    "device_add",
                    driver="scsi-hd",
                    id=name,
                    drive=name,
                    serial=disk.wwn,
                    bus=f"scsi{disk.controller}.0",
                    **{"scsi-id": disk.unit},
                )
            except BaseException:
                qemu.execute("blockdev-del", **{"node-name": name})
                raise

    def _unplug(self, disk: AttachedDisk) -> None:
        name = place_name(disk)
        with monitor(self._monitor) as qemu:
            qemu.execute("device_del", id=name)
            qemu.await_event("DEVICE_DELETED", lambda data: data.get("device") == name)
            qemu.execute("blockdev-del", **{"node-name": name})


def default_services() -> tuple[Service, ...]:
    """The appliance service of dtesx, run by the tree's own Python."""
    argv = ("python3", "-m", "dtesx", "service", "appliance", "--address", "0.0.0.0", "--state", str(STATE))
    return (Service("appliance", argv, "dtesx appliance ready"),)


@contextmanager
def guest_appliance(
    tree: BaseTree,
    *,
    surroundings: Surroundings,
    directory: Path,
    services: Sequence[Service],
    uuid: str,
    packages: Sequence[Path] = (),
) -> Iterator[GuestAppliance]:
    """A new appliance, still off, with a copy of the tree as its disk; off and without it at the end.

    ``packages`` are further Python packages of the host that its Python shall find.
    """
    image = private_directory(directory) / "disk.img"
    try:
        make_image(
            tree,
            image,
            public_key=surroundings.key.with_suffix(".pub").read_text(),
            hostname="appliance",
            address=network.APPLIANCE,
            packages=packages,
        )
        machine = GuestAppliance(
            tree=tree,
            image=image,
            surroundings=surroundings,
            directory=directory,
            services=services,
            uuid=uuid,
        )
        try:
            yield machine
        finally:
            machine.stop()
    finally:
        image.unlink(missing_ok=True)


def _link(disk: AttachedDisk) -> str:
    return f"/dev/disk/by-id/wwn-0x{disk.wwn}"
