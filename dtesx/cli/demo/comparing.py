"""Compares a server with its replica, file by file, by their checksums."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Final

# Configuration, data and programs: what makes the server this server. Some thousand files whose
# checksums an emulated machine has ready within seconds.
ROOTS: Final = ("/etc", "/home", "/root", "/srv", "/usr/bin", "/usr/sbin", "/usr/local")

# A half gigabyte of holes would take longer than all the rest.
_BIGGEST: Final = "64M"

ON_PURPOSE: Final[dict[str, str]] = {
    "/srv/ledger/ledger.txt": "the ledger grows on; its chain is verified instead",
    "/etc/fstab": "boot fix-up: file systems of the replica's disks",
    "/etc/network/interfaces": "boot fix-up: network",
    "/etc/systemd/network/10-dtesx-*": "boot fix-up: names of network cards",
    "/etc/default/grub*": "boot fix-up: boot loader",
    "/etc/initramfs-tools/*": "boot fix-up: drivers of the new hardware",
    "/etc/resolv.conf": "written by the network's start",
    "/etc/adjtime": "written at shutdown and by the clock's start",
    "/etc/.updated": "written by systemd at its start",
    "/etc/.pwd.lock": "written by systemd at its start",
    "/root/.bash_history": "written by a login",
}
"""Patterns of files that may differ, each with the reason (fnmatch; checked, counted apart)."""


_FIND: Final = f"find {' '.join(ROOTS)} -xdev -type f -size -{_BIGGEST} -print0"
SCRIPT: Final = f"{_FIND} | LC_ALL=C sort -z | xargs -0 sha256sum -z"
"""A shell line that prints ``HASH  PATH`` of every file in the set, each ended by a NUL byte."""


@dataclass(frozen=True)
class Comparison:
    """``different`` and ``on_purpose`` are paths; the latter with their reasons."""

    compared: int
    different: tuple[str, ...]
    on_purpose: dict[str, str]


def parse(output: bytes) -> dict[str, str]:
    """What ``SCRIPT`` printed, as path -> checksum; undecodable names keep their bytes."""
    sums: dict[str, str] = {}
    for record in output.split(b"\0"):
        if record:
            digest, _, name = record.partition(b"  ")
            sums[name.decode(errors="surrogateescape")] = digest.decode("ascii")
    return sums


def compare(server: dict[str, str], replica: dict[str, str]) -> Comparison:
    """Compare two sets of checksums; a file that only one side has differs too."""
    paths = server.keys() | replica.keys()
    changed = sorted(path for path in paths if server.get(path) != replica.get(path))
    reasons = {path: reason for path in changed if (reason := purpose(path))}
    return Comparison(
        compared=len(paths),
        different=tuple(path for path in changed if path not in reasons),
        on_purpose=reasons,
    )


def purpose(path: str) -> str:
    """Why ``path`` may differ; empty when it must not."""
    return next((reason for pattern, reason in ON_PURPOSE.items() if fnmatch.fnmatch(path, pattern)), "")
