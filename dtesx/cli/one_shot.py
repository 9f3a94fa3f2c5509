"""What the one-shot commands share: a source tree, a place on a target, and the way between them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtesx.base.errors import Interrupted, UsageError
from dtesx.cli import ask
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.rules import Rule, RuleType, written

if TYPE_CHECKING:
    from dtesx.model.verify import Finding, VerifyStats
    from dtesx.replication.one_shot import Way

Source = Annotated[str, typer.Argument(metavar="SRC", help="Directory to mirror.")]
Url = Annotated[
    str, typer.Argument(metavar="URL", help="dtesx://HOST:PORT/NAME: a place on a target (port 1500).")
]
TargetToken = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="The target's token; needed once for each target."),
]
ClientState = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="Directory for this source's identity and the targets it knows."
        " [default: /var/lib/dtesx/client for root, else ~/.local/state/dtesx]",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="PATH",
        help="Mirror this alone, with everything below it. * ? [...] and ** are wildcards; PATH,nonrec:"
        " the files in it, nothing below. May be repeated.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="PATH",
        help="Leave this alone on both sides. Relative to SRC, like --include. May be repeated.",
    ),
]
RulesFile = Annotated[
    Path | None,
    typer.Option("--rules", metavar="FILE", help="Take the rules of a replication set (dtesx repset), too."),
]
RemapLinks = Annotated[
    bool,
    typer.Option(
        "--remap-links/--no-remap-links",
        help="Have symlinks that hold an absolute path into SRC lead into the replica on the target.",
    ),
]


@dataclass(frozen=True)
class Selection:
    """The options that say what of a tree is meant."""

    rules: RulesFile = None
    include: Include = None
    exclude: Exclude = None

    def chosen(self) -> tuple[Rule, ...]:
        """The rules that they stand for; raises UsageError and NotFound."""
        given = [(text, RuleType.INCLUDE) for text in self.include or ()]
        given += [(text, RuleType.EXCLUDE) for text in self.exclude or ()]
        try:
            rules = tuple(written(text, kind) for text, kind in given)
        except ValueError as error:
            raise UsageError(str(error), hint="docs/rules.md says how rules are written") from error
        if self.rules is None:
            return rules
        from dtesx.mirror.rules_file import load

        return (*load(self.rules).rules, *rules)


@dataclass(frozen=True)
class Credentials:
    """The options by which a source and a target know each other."""

    token_file: TargetToken = None
    state: ClientState = None

    def way(self, source: str, url: str, options: MirrorOptions, *, tls: bool, rebind: bool = False) -> Way:
        """The way from ``source`` to the target at ``url``; UsageError when what was given makes no sense.

        With ``rebind`` the source may be another directory than before.
        """
        from dtesx.model.location import parse_target
        from dtesx.replication import one_shot

        try:
            place = parse_target(url)
        except ValueError as error:
            raise UsageError(str(error), hint="write dtesx://HOST:PORT/NAME") from error
        token = ask.secret("token", file=self.token_file) if self.token_file is not None else ""
        way = one_shot.way(source, place, self.state or default_state(), options, token=token, tls=tls)
        return replace(way, request=replace(way.request, rebind=rebind))


def verify(
    way: Way, link: LinkOptions, report: Callable[[Finding], None], stopped: Interrupted
) -> VerifyStats:
    """Compare the tree with its replica; ``report`` gets what is not the same, Ctrl-C raises ``stopped``."""
    from dtesx.replication.one_shot import open_tree
    from dtesx.replication.verifying import run_verify

    try:
        return run_verify(
            way.request,
            way.identity,
            report=report,
            progress=lambda _stats: None,
            stop=threading.Event(),
            opener=open_tree,
            options=way.options,
            link=link,
        )
    except KeyboardInterrupt:
        raise stopped from None


def default_state() -> Path:
    """Root's is the system's; others have theirs as the XDG base directory specification says."""
    if os.geteuid() == 0:
        return Path("/var/lib/dtesx/client")
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local/state") / "dtesx"
