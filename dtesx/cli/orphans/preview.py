"""``dtesx orphans preview``."""

from __future__ import annotations

import threading
import time

from dtesx.base.errors import Interrupted
from dtesx.cli import one_shot, output
from dtesx.cli.formats import moment, seconds, size
from dtesx.cli.one_shot import ClientState, Exclude, Include, RulesFile, Source, TargetToken, Url
from dtesx.cli.params import Json
from dtesx.model.mirror import MirrorOptions
from dtesx.model.verify import FileState, Finding


def preview(
    source: Source,
    url: Url,
    rules: RulesFile = None,
    include: Include = None,
    exclude: Exclude = None,
    token_file: TargetToken = None,
    state: ClientState = None,
    json: Json = False,
) -> None:
    """List what only the target has, with size and age.

    Everything below an orphan is listed, too. Nothing is removed.
    """
    from dtesx.replication.one_shot import open_tree
    from dtesx.replication.verify_log import printable
    from dtesx.replication.verifying import run_verify

    options = MirrorOptions(rules=one_shot.rules(rules, include, exclude))
    way = one_shot.way(source, url, token_file, state, options)
    orphans: list[Finding] = []
    try:
        stats = run_verify(
            way.request,
            way.identity,
            report=lambda found: orphans.append(found) if found.state is FileState.ORPHAN else None,
            progress=lambda _stats: None,
            stop=threading.Event(),
            opener=open_tree,
            options=way.options,
        )
    except KeyboardInterrupt:
        raise Interrupted("the preview was stopped", hint="run it again: it starts anew") from None
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
