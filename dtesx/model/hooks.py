"""Hooks: commands of a source that prepare its applications for an epoch of one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dtesx.model.quantities import parse_duration


@dataclass(frozen=True)
class Hooks:
    """``quiesce`` prepares applications, ``release`` (empty: nothing) lets them go on; run without a shell.

    Each is ended after ``timeout`` seconds; it has failed then.
    """

    quiesce: tuple[str, ...]
    release: tuple[str, ...] = ()
    timeout: float = 10.0


@dataclass(frozen=True)
class HooksSpec:
    """Hooks as users write them."""

    quiesce: tuple[str, ...]
    release: tuple[str, ...] = ()
    timeout: str = "10s"

    def __post_init__(self) -> None:
        if not self.quiesce or not all((self.quiesce[0], *self.release[:1])):
            raise ValueError("quiesce, release: lists, the program first")
        if not self.hooks().timeout:
            raise ValueError("timeout: more than 0 seconds")

    def hooks(self) -> Hooks:
        """What the text says; raises ValueError."""
        return Hooks(self.quiesce, self.release, parse_duration(self.timeout))


@dataclass(frozen=True)
class HooksFile:
    """The file that configures a source's hooks, by name."""

    hooks: Mapping[str, HooksSpec]
