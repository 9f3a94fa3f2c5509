"""Where a one-shot mirror goes: ``dtesx://HOST:PORT/NAME``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

DATA_PORT = 1500
SCHEME = "dtesx"
_ILLEGAL = frozenset('.?<>:"/\\*|')
_NAME_BYTES = 200


def checked_set_name(name: str) -> str:
    """Return ``name`` if a replication set may have it, which makes it safe as the name of a directory.

    Illegal are control characters, blanks at the ends, and what ``_ILLEGAL`` holds. Raises ValueError.
    """
    if bad := sorted({char for char in name if char in _ILLEGAL or not char.isprintable()}):
        raise ValueError(f"{name!r} has characters that no replication set may have: {' '.join(bad)}")
    if not name or name != name.strip():
        raise ValueError("the name of a replication set must not be empty, nor begin or end with a blank")
    if len(name.encode()) > _NAME_BYTES:
        raise ValueError(f"{name!r} is longer than {_NAME_BYTES} bytes")
    return name


@dataclass(frozen=True)
class TargetUrl:
    """A place on a target: ``name`` is a directory below the target's data directory."""

    host: str
    port: int
    name: str

    @property
    def endpoint(self) -> str:
        """``HOST:PORT``, as people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_target(text: str) -> TargetUrl:
    """The place that ``text`` names; the port is 1500 unless it says another. Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme != SCHEME or not parts.hostname:
        raise ValueError(f"{text!r} is no place on a target")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{text!r} has more than host, port and name")
    name = unquote(parts.path.removeprefix("/"), errors="strict")
    return TargetUrl(parts.hostname, parts.port or DATA_PORT, checked_set_name(name))


def parse_listen(text: str) -> tuple[str, int]:
    """Address and port of ``HOST:PORT``; port 0 stands for a free one. Raises ValueError."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port is None or parts.netloc != text or "@" in text:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return parts.hostname, parts.port
