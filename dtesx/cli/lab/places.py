"""Where labs are: a cache for what is slow to make, and a directory for the one lab that is up."""

from __future__ import annotations

import os
from pathlib import Path

import dtesx

_INSTALLED = Path("/var/cache/dtesx")


def cache() -> Path:
    """``DTESX_CACHE``, else ``.cache`` of the checkout that runs, else /var/cache/dtesx."""
    if own := os.environ.get("DTESX_CACHE"):
        return Path(own)
    checkout = Path(dtesx.__file__).resolve().parents[1]
    return checkout / ".cache" if (checkout / "pyproject.toml").exists() else _INSTALLED


def lab() -> Path:
    """The directory of the lab that commands mean."""
    return cache() / "site"
