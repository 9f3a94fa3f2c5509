"""``dtesx lab``: a whole site on this machine."""

from __future__ import annotations

from dtesx.cli import teach

app = teach.group("A whole site on this machine, to try everything.")
