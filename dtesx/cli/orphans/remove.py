"""``dtesx orphans remove``."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from dtesx.base.errors import ExitCode, Interrupted
from dtesx.cli import one_shot, output
from dtesx.cli.formats import size
from dtesx.cli.mirror_options import Bandwidth, Compress, Streams, Tls, link_options, orphan_policy
from dtesx.cli.one_shot import ClientState, Exclude, Include, RulesFile, Source, TargetToken, Url
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
    move_to: MoveTo = "",
    older_than: OlderThan = "",
    rules: RulesFile = None,
    include: Include = None,
    exclude: Exclude = None,
    compress: Compress = "off",
    bandwidth: Bandwidth = "",
    streams: Streams = 1,
    tls: Tls = True,
    token_file: TargetToken = None,
    state: ClientState = None,
    json: Json = False,
) -> int:
    """Remove what only the target has; nothing else changes.

    The directories that orphans were in keep their times. Exit code 1 says that some paths could not
    be looked at or removed; they are listed.
    """
    from dtesx.replication.one_shot import open_tree
    from dtesx.replication.verifying import remove_orphans

    options = MirrorOptions(
        rules=one_shot.rules(rules, include, exclude),
        orphans=orphan_policy(f"move:{move_to}" if move_to else "delete", older_than),
    )
    link = link_options(compress, bandwidth, streams, None, tls=tls)
    way = one_shot.way(source, url, token_file, state, options, tls=tls)
    try:
        stats = remove_orphans(
            way.request,
            way.identity,
            stop=threading.Event(),
            opener=open_tree,
            options=way.options,
            link=link,
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
