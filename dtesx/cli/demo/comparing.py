"""Compares a server with its replica: every file's content, every entry's metadata."""

from __future__ import annotations

import fnmatch
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# Configuration, data and programs: what makes the server this server. Some thousand entries that
# an emulated machine has read within seconds.
ROOTS: Final = ("/etc", "/home", "/root", "/srv", "/usr/bin", "/usr/sbin", "/usr/local")

# A half gigabyte of holes would take longer than all the rest.
_BIGGEST: Final = "64M"

_FIND: Final = f"find {' '.join(ROOTS)} -xdev"
_MARK: Final = "-- next"
SCRIPT: Final = f"""
export LC_ALL=C
{_FIND} -type f -size -{_BIGGEST} -print0 | sort -z | xargs -0 sha256sum -z
printf '%s\\0' '{_MARK}'
{_FIND} ! -type s -print0 | xargs -0 stat --printf '%f %u:%g %s %h %t:%T %.9Y  %n\\0'
printf '%s\\0' '{_MARK}'
{_FIND} -type l -printf '%l  %p\\0'
printf '%s\\0' '{_MARK}'
{_FIND} ! -type l -print0 | xargs -0 getfattr -h -d -m - -e hex --absolute-names 2>/dev/null
"""
"""A shell script that prints checksums, metadata, link targets and extended attributes of the set.

Programs of the machine itself, none of ours: what it says does not rest on what it checks.
"""

ON_PURPOSE: Final[dict[str, str]] = {
    "/srv/ledger/ledger.txt": "the ledger grows on; its chain is verified instead",
    "/etc/fstab": "boot fix-up: file systems of the replica's disks",
    "/etc/network/interfaces": "boot fix-up: network",
    "/etc/systemd/network": "boot fix-up: names of network cards",
    "/etc/systemd/network/10-dtesx-*": "boot fix-up: names of network cards",
    "/etc/default/grub*": "boot fix-up: boot loader",
    "/etc/initramfs-tools/*": "boot fix-up: drivers of the new hardware",
    "/etc/resolv.conf": "written by the network's start",
    "/etc/adjtime": "written at shutdown and by the clock's start",
    "/etc/.updated": "written by systemd at its start",
    "/etc/.pwd.lock": "written by systemd at its start",
    "/root/.bash_history": "written by a login",
}
"""Patterns of paths that may differ, each with the reason (fnmatch; compared, counted apart)."""


@dataclass(frozen=True)
class Observed:
    """A machine's files as it sees them itself; keys are paths, undecodable bytes as surrogates."""

    contents: dict[str, str] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """``different`` are paths; ``on_purpose`` too, with their reasons."""

    compared: int
    different: tuple[str, ...]
    on_purpose: dict[str, str]


def parse(output: bytes) -> Observed:
    """Read what ``SCRIPT`` printed."""
    sums, _, rest = output.partition(f"{_MARK}\0".encode())
    metadata, _, rest = rest.partition(f"{_MARK}\0".encode())
    links, _, attributes = rest.partition(f"{_MARK}\0".encode())
    targets, extended = _records(links), _attributes(attributes)
    return Observed(
        contents=_records(sums),
        entries={
            path: " ".join(filter(None, (_comparable(words), targets.get(path), extended.get(path))))
            for path, words in _records(metadata).items()
        },
    )


def _records(output: bytes) -> dict[str, str]:
    """``WORDS  PATH`` records, each ended by a NUL, as path -> words."""
    found: dict[str, str] = {}
    for record in output.split(b"\0"):
        if record:
            words, _, name = record.partition(b"  ")
            found[_text(name)] = _text(words)
    return found


def _comparable(words: str) -> str:
    """Metadata without what a directory's file system decides: its size and number of links."""
    mode, owner, size, links, device, modified = words.split()
    if stat.S_ISDIR(int(mode, 16)):
        return f"{mode} {owner} {modified}"
    return f"{mode} {owner} {size} {links} {device} {modified}"


def _attributes(output: bytes) -> dict[str, str]:
    """Getfattr's blocks: ``# file: PATH`` with odd bytes as octal escapes, then name=value lines."""
    found: dict[str, str] = {}
    for block in output.decode("ascii").split("\n\n"):
        head, _, values = block.strip("\n").partition("\n")
        if head.startswith("# file: "):
            name = head.removeprefix("# file: ").encode().decode("unicode_escape").encode("latin-1")
            found[_text(name)] = " ".join(sorted(values.splitlines()))
    return found


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def compare(server: Mapping[str, str], replica: Mapping[str, str]) -> Comparison:
    """Compare two sets by path; what only one side has differs too."""
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
    return next((reason for pattern, reason in ON_PURPOSE.items() if fnmatch.fnmatchcase(path, pattern)), "")
