"""``dtesx orphans preview``."""

from __future__ import annotations

import time

from dtesx.base.errors import Interrupted
from dtesx.cli import one_shot, output
from dtesx.cli.formats import moment, seconds, size
from dtesx.cli.mirror_options import LinkChoice
from dtesx.cli.one_shot import Credentials, Selection, Source, Url
from dtesx.cli.params import Json
from dtesx.model.mirror import MirrorOptions
from dtesx.model.verify import FileState, Finding


def preview(
    source: Source,
    url: Url,
    selection: Selection,
    link: LinkChoice,
    credentials: Credentials,
    json: Json = False,
) -> None:
    """List what only the target has, with size and age.

    Everything below an orphan is listed, too. Nothing is removed.
    """
    from dtesx.replication.verify_log import printable

    options, how = MirrorOptions(rules=selection.chosen()), link.options()
    way = credentials.way(source, url, options, tls=link.tls)
    orphans: list[Finding] = []

    def report(found: Finding) -> None:
        if found.state is FileState.ORPHAN:
            orphans.append(found)

    stopped = Interrupted("the preview was stopped", hint="run it again: it starts anew")
    stats = one_shot.verify(way, how, report, stopped)
    if json:
        output.document(orphans)
        return
    now = time.time()
    rows = [
        (o.kind, size(o.size), moment(o.modified), seconds(max(0.0, now - o.modified)), printable(o.path))
        for o in orphans
    ]
    output.table(("KIND", "SIZE", "MODIFIED", "AGE", "PATH"), rows, empty="no orphans")
    if orphans:
        output.line(f"{stats.orphans} orphans, {size(stats.orphan_bytes)}")
