"""The appliance: a process group with its own network and mounts; virtual disks come as loop devices."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

from dtesx.base.errors import Conflict, ConnectionFailed
from dtesx.base.run import run
from dtesx.lab import loops, network
from dtesx.lab.machine import AttachedDisk
from dtesx.lab.namespace_machine import NamespaceMachine
from dtesx.lab.serving import Service

MAC = "52:54:00:77:00:0a"
_BY_ID = "/dev/disk/by-id"
_STAGE = "/dev/disk/.class"


class ApplianceMachine(NamespaceMachine):
    """The virtual recovery appliance, on the host's root file system but with its own /dev/disk.

    ``uuid`` is its BIOS UUID in vSphere; as in a real VM, /sys/class/dmi/id/product_uuid shows it.
    """

    def __init__(
        self, *, net: network.Network, directory: Path, services: tuple[Service, ...], uuid: str
    ) -> None:
        super().__init__(
            "appliance",
            network=net,
            address=network.APPLIANCE,
            mac=MAC,
            directory=directory,
            services=services,
        )
        self.uuid = uuid
        self.state = directory / "state"
        self._disks: dict[str, Path] = {}
        self._plugging = threading.Lock()

    @property
    def published(self) -> Path:
        """It shares the host's root: the service's own directory."""
        return self.state

    def attach(self, disk: AttachedDisk) -> Path:
        """Hot-add: the disk appears as a device with its by-id link; return the device.

        Does nothing when it is attached already.
        """
        with self._plugging:
            device = self._disks.get(disk.wwn)
            if device is not None and loops.is_set_up(device) and not loops.is_going(device):
                return device
            link = self._link(disk)
            link.parent.mkdir(parents=True, exist_ok=True)
            argv = ["losetup", "--find", "--show", "--sizelimit", str(disk.size), str(disk.file)]
            device = Path(run(argv).text.strip())
            self._disks[disk.wwn] = device
            link.unlink(missing_ok=True)
            link.symlink_to(f"../../{device.name}")
            return device

    def detach(self, disk: AttachedDisk) -> None:
        """Hot-remove; does nothing when it is not attached.

        Raises Conflict when it is mounted, and when something else in the appliance holds it open.
        """
        with self._plugging:
            device = self._disks.get(disk.wwn)
            if device is None:
                return
            if _is_mounted(device) or loops.stacked_on(device.stat().st_rdev, loops.all_loops()):
                raise _busy(device)
            if self.alive():
                self._link(disk).unlink(missing_ok=True)
            if not loops.free(device):
                raise _busy(device)
            del self._disks[disk.wwn]

    def disks(self) -> dict[str, Path]:
        """The attached disks: identifier (32 hex digits) to device."""
        return dict(self._disks)

    def stop(self) -> None:
        """Kill it, then free its disks: their mounts ended with it, loop devices do not."""
        super().stop()
        with self._plugging:
            for wwn, device in list(self._disks.items()):
                for victim in (*loops.stacked_on(device.stat().st_rdev, loops.all_loops()), device):
                    if not loops.free(victim):
                        raise _busy(victim)
                del self._disks[wwn]

    def _link(self, disk: AttachedDisk) -> Path:
        try:
            root = Path(f"/proc/{self.pid}/root")
        except ConnectionFailed as error:
            raise ConnectionFailed(
                f"disk {disk.uuid} cannot reach the appliance: it is off", hint=error.hint
            ) from error
        return root / _BY_ID.lstrip("/") / f"wwn-0x{disk.wwn}"

    def _script(self) -> str:
        return (
            "mkdir -p /dev/disk\n"
            "mount -t tmpfs -o mode=755,nosuid tmpfs /dev/disk\n"
            f"mkdir {_BY_ID} {_STAGE}\n"
            "mount -t proc proc /proc\n"
            "mount -t sysfs sysfs /sys\n"
            # sysfs takes no new files: a tmpfs with all of its classes but dmi goes over /sys/class.
            f"mount --bind /sys/class {_STAGE}\n"
            "mount -t tmpfs -o mode=755,nosuid tmpfs /sys/class\n"
            f"for class in {_STAGE}/*; do\n"
            '  name=${class##*/}; [ "$name" != dmi ] || continue\n'
            '  mkdir "/sys/class/$name"; mount --bind "$class" "/sys/class/$name"\n'
            "done\n"
            f"umount {_STAGE}; rmdir {_STAGE}\n"
            f"mkdir -p /sys/class/dmi/id; echo {self.uuid} > /sys/class/dmi/id/product_uuid\n"
        )


def default_services(state: Path) -> tuple[Service, ...]:
    """The appliance service of dtesx, from the environment that runs the lab."""
    argv = (sys.executable, "-m", "dtesx", "service", "appliance", "--address", "0.0.0.0")
    return (Service("appliance", (*argv, "--state", str(state)), "dtesx appliance ready"),)


def _is_mounted(device: Path) -> bool:
    """Whether a file system in any mount namespace holds the device (it then refuses O_EXCL)."""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _busy(device: Path) -> Conflict:
    return Conflict(
        f"{device} is still in use in the appliance", hint="unmount what is on the disk, then try again"
    )
