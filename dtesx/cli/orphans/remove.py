"""``dtesx orphans remove``."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from dtesx.base.errors import ExitCode, Interrupted
from dtesx.cli import output
from dtesx.cli.formats import size
from dtesx.cli.mirror_options import LinkChoice, orphan_policy
from dtesx.cli.one_shot import Credentials, Selection, Source, Url
from dtesx.cli.params import Json
from dtesx.model.mirror import MirrorOptions

MoveTo = Annotated[
    str,
    typer.Option(
        "--move-to",
        metavar="DIR",
        help="Move them to DIR in NAME.orphans beside the replica. [default: delete them]",
    ),
]
OlderThan = Annotated[
    str,
    typer.Option("--older-than", metavar="AGE", help="Spare what changed since: 12h, 7d. [default: none]"),
]


def remove(
    source: Source,
    url: Url,
    *,
    move_to: MoveTo = "",
    older_than: OlderThan = "",
    selection: Selection,
    link: LinkChoice,
    credentials: Credentials,
    json: Json = False,
) -> int:
    """Remove what only the target has; nothing else changes.

    The directories that orphans were in keep their times. Exit code 1 says that some paths could not
    be looked at or removed; they are listed.
    """
    from dtesx.replication.one_shot import open_tree
    from dtesx.replication.verifying import remove_orphans

    options = MirrorOptions(
        rules=selection.chosen(),
        orphans=orphan_policy(f"move:{move_to}" if move_to else "delete", older_than),
    )
    how, way = link.options(), credentials.way(source, url, options, tls=link.tls)
    try:
        stats = remove_orphans(
            way.request,
            way.identity,
            stop=threading.Event(),
            opener=open_tree,
            options=way.options,
            link=how,
        )
    except KeyboardInterrupt:
        raise Interrupted("the removal was stopped", hint="run it again: it goes on") from None
    if json:
        output.document(stats)
    else:
        for problem in stats.problems:
            output.line(f"{problem.path}: {problem.reason}")
        output.line(f"{stats.orphans_removed} orphans removed, {size(stats.orphans_bytes)}")
    return ExitCode.PROBLEMS if stats.problems_total else ExitCode.OK
