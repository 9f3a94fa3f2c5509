"""Finding a virtual disk by the UUID that vSphere gave it, never by a guess at /dev/sdX."""

from __future__ import annotations

from pathlib import Path

from dtesx.base.errors import NotFound
from dtesx.base.retry import wait_until


def link_names(uuid: str) -> tuple[str, ...]:
    """The names below /dev/disk/by-id that a disk with this backing UUID can have.

    A VMware disk reports its backing UUID (``6000C29x-...``) as NAA identifier in the SCSI device
    identification page; udev makes ``wwn-0x...`` and ``scsi-3...`` of it.
    """
    digits = uuid.replace("-", "").replace(" ", "").lower()
    return (f"wwn-0x{digits}", f"scsi-3{digits}")


def find_disk(uuid: str, *, timeout: float = 30, by_id: Path = Path("/dev/disk/by-id")) -> Path:
    """Wait up to ``timeout`` seconds for the disk to appear and return its device node.

    Raises NotFound when it does not.
    """
    links = [by_id / name for name in link_names(uuid)]
    if not wait_until(lambda: any(link.exists() for link in links), timeout=timeout):
        raise NotFound(
            f"the virtual disk {uuid} did not appear on this machine within {timeout:.0f} s",
            hint="check in vSphere that the disk is attached to the appliance and disk.EnableUUID is TRUE",
        )
    return next(link for link in links if link.exists()).resolve()
