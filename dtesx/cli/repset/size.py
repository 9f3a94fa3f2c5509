"""``dtesx repset size``."""

from __future__ import annotations

import time

from dtesx.cli import formats, output
from dtesx.cli.params import Json
from dtesx.cli.repset.common import RulesFile, Tree, opened, progress, tree


def size(rules: RulesFile, source: Tree, json: Json = False) -> None:
    """Count the files and bytes in a replication set.

    Files are all names but directories. A file with several names counts under each of them.
    """
    from dtesx.mirror.measuring import measure
    from dtesx.mirror.rules_file import load
    from dtesx.mirror.selection import select
    from dtesx.mirror.tally import Tally
    from dtesx.model.repset import SetSize

    found, path = load(rules), tree(source)
    tally, began = Tally(), time.monotonic()

    def state() -> str:
        return f"{tally.files_total} files, {formats.size(tally.bytes_total)}"

    with opened(path) as root, progress(state) as tick:
        measure(root, select(found.rules, path), tally, tick)
    took = time.monotonic() - began
    if json:
        output.document(SetSize(found.name, found.generation, tally.files_total, tally.bytes_total, took))
    else:
        output.line(f"{found.name}: {state()}")
