from __future__ import annotations

import io
import json

from dtesx.base import log


def test_events_are_json_lines_away_from_a_terminal() -> None:
    out = io.StringIO()
    log.configure(stream=out)
    log.get_logger("dtesx.test").info("mounted", path="/mnt", count=2)
    entry = json.loads(out.getvalue())
    assert entry["event"] == "mounted"
    assert (entry["path"], entry["count"], entry["level"]) == ("/mnt", 2, "info")


def test_people_get_text() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    log.configure(stream=out)
    log.get_logger("dtesx.test").warning("slow", seconds=3)
    assert out.getvalue().rstrip().endswith("warning dtesx.test slow seconds=3")
