"""MAC addresses: where the source's card is meant, the replica's takes its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dtesx.boot.network.files import HOSTS, RESOLVER, Files

_MAC = re.compile(
    r"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])"
)
_ELSEWHERE = (RESOLVER, HOSTS)


def replace(files: Files, macs: Mapping[str, str]) -> dict[str, str]:
    """The files with each of the source's MAC addresses replaced, in matches and settings alike.

    A card that is matched by the old address would not be found; one that is given the old address
    would be cut off by a virtual switch, which drops forged ones. Comments stay as they are.
    """
    return {p: text if p in _ELSEWHERE else _replaced(text, macs) for p, text in files.items()}


def _replaced(text: str, macs: Mapping[str, str]) -> str:
    def new(found: re.Match[str]) -> str:
        mac = macs.get(_plain(found[0]))
        if mac is None or mac == _plain(found[0]):
            return found[0]
        spelled = mac.replace(":", found[1])
        return spelled.upper() if found[0] == found[0].upper() else spelled

    lines = text.splitlines(keepends=True)
    return "".join(line if line.lstrip().startswith(("#", ";")) else _MAC.sub(new, line) for line in lines)


def mentioned(text: str) -> Iterator[tuple[str, str]]:
    """Each MAC address in a text outside comments, in small letters, with its line."""
    for line in text.splitlines():
        if not line.lstrip().startswith(("#", ";")):
            yield from ((_plain(found[0]), line.strip()) for found in _MAC.finditer(line))


def _plain(mac: str) -> str:
    return mac.lower().replace("-", ":")
