"""Where ``dtesx login`` keeps what it learned: URL, pinned certificate and token of each appliance."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from dtesx.base.described import described
from dtesx.base.errors import UsageError
from dtesx.base.files import private_directory, write_atomic


@dataclass(frozen=True)
class Context:
    """One appliance: ``certificate`` is the only one trusted for ``url`` (PEM)."""

    url: str
    certificate: str
    token: str


@dataclass(frozen=True)
class Contexts:
    """All known appliances by URL; ``current`` is the one that commands talk to."""

    current: str = ""
    known: dict[str, Context] = field(default_factory=dict)


def directory() -> Path:
    """``DTESX_CONFIG``, else ``dtesx`` below ``XDG_CONFIG_HOME`` (``~/.config``)."""
    if own := os.environ.get("DTESX_CONFIG"):
        return Path(own)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "dtesx"


def load(where: Path | None = None) -> Contexts:
    """Read the file; an absent one is empty. UsageError when it cannot be read as ours."""
    import msgspec

    path = (where or directory()) / "contexts"
    try:
        return msgspec.json.decode(path.read_bytes(), type=described(Contexts))
    except FileNotFoundError:
        return Contexts()
    except (msgspec.DecodeError, OSError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", hint="remove it and run dtesx login again"
        ) from error


def remember(context: Context, where: Path | None = None) -> Path:
    """Store ``context`` and make it the current one; the file is readable by its owner only."""
    import msgspec

    folder = where or directory()
    contexts = load(folder)
    contexts = replace(contexts, current=context.url, known=contexts.known | {context.url: context})
    private_directory(folder)
    path = folder / "contexts"
    write_atomic(path, msgspec.json.format(msgspec.json.encode(contexts)), mode=0o600)
    return path


def current(where: Path | None = None) -> Context:
    """The appliance that commands talk to; UsageError when nobody logged in yet."""
    contexts = load(where)
    context = contexts.known.get(contexts.current)
    if context is None:
        raise UsageError(
            "not logged in to an appliance",
            hint="run dtesx login https://APPLIANCE:6325 --token-file FILE"
            " (the appliance keeps its token in /var/lib/dtesx/appliance/admin-token)",
        )
    return context
