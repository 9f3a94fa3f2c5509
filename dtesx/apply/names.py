"""What a peer may call a file. Anything else is an attack or a defect, never a file."""

from __future__ import annotations

from dtesx.wire.errors import ProtocolError
from dtesx.wire.items import TEMPORARY_PREFIX

_NAME_MAX = 255


def check_name(name: bytes) -> bytes:
    """The name, if it is one component that can exist on Linux; raises ProtocolError otherwise."""
    if (
        not name
        or len(name) > _NAME_MAX
        or name in (b".", b"..")
        or b"/" in name
        or b"\0" in name
        or name.startswith(TEMPORARY_PREFIX)
    ):
        raise ProtocolError(f"impossible file name {name[:300]!r}")
    return name


def components(path: bytes) -> list[bytes]:
    """The checked components of a relative path; none for the root."""
    return [check_name(part) for part in path.split(b"/")] if path else []
