"""The order of mount points."""

from __future__ import annotations


def mount_key(mount_point: str) -> tuple[str, ...]:
    """Sort key that puts ``/`` before ``/srv`` before ``/srv/data``."""
    return tuple(part for part in mount_point.split("/") if part)
