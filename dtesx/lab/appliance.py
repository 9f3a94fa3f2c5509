"""The appliance: a process group with its own network and mounts; virtual disks come as loop devices."""

from __future__ import annotations

import sys
from pathlib import Path

from dtesx.base.errors import CommandFailed, ConnectionFailed
from dtesx.base.retry import wait_until
from dtesx.base.run import run
from dtesx.lab import network
from dtesx.lab.machine import AttachedDisk
from dtesx.lab.namespace_machine import NamespaceMachine, Service

MAC = "52:54:00:77:00:0a"
_BY_ID = "/dev/disk/by-id"
_DETACH_SECONDS = 5.0


class ApplianceMachine(NamespaceMachine):
    """The virtual recovery appliance, on the host's root file system but with its own /dev/disk."""

    def __init__(self, *, net: network.Network, directory: Path, services: tuple[Service, ...]) -> None:
        super().__init__(
            "appliance",
            network=net,
            address=network.APPLIANCE,
            mac=MAC,
            directory=directory,
            services=services,
        )
        self._disks: dict[str, Path] = {}

    def attach(self, disk: AttachedDisk) -> Path:
        """Hot-add: the disk appears as a device with its by-id link; return the device.

        Does nothing when it is attached already.
        """
        if disk.wwn in self._disks:
            return self._disks[disk.wwn]
        link = self._link(disk)
        link.parent.mkdir(parents=True, exist_ok=True)
        argv = ["losetup", "--find", "--show", "--sizelimit", str(disk.size), str(disk.file)]
        device = Path(run(argv).text.strip())
        self._disks[disk.wwn] = device
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../{device.name}")
        return device

    def detach(self, disk: AttachedDisk) -> None:
        """Hot-remove; does nothing when it is not attached. CommandFailed when it is still in use."""
        device = self._disks.get(disk.wwn)
        if device is None:
            return
        if self.alive():
            self._link(disk).unlink(missing_ok=True)
        _free(device)
        del self._disks[disk.wwn]

    def disks(self) -> dict[str, Path]:
        """The attached disks: identifier (32 hex digits) to device."""
        return dict(self._disks)

    def stop(self) -> None:
        """Kill it, then free its disks: with its mount namespace, their mounts are gone."""
        super().stop()
        for wwn, device in list(self._disks.items()):
            _free(device)
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
            f"mkdir {_BY_ID}\n"
            "mount -t proc proc /proc\n"
        )


def default_services(state: Path) -> tuple[Service, ...]:
    """The appliance service of dtesx, from the environment that runs the lab."""
    argv = (sys.executable, "-m", "dtesx", "service", "appliance", "--address", "0.0.0.0")
    return (Service("appliance", (*argv, "--state", str(state)), "dtesx appliance ready"),)


def _free(device: Path) -> None:
    run(["losetup", "--detach", str(device)])

    def gone() -> bool:
        return not Path(f"/sys/block/{device.name}/loop/backing_file").exists()

    if not wait_until(gone, timeout=_DETACH_SECONDS, interval=0.05):
        raise CommandFailed(
            f"{device} is still in use in the appliance", hint="unmount what is on the disk, then try again"
        )
