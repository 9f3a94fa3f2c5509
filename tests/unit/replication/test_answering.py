from __future__ import annotations

import os
import stat
from pathlib import Path

from dtesx.replication.answering import Answering
from dtesx.wire.messages import Ask, Directory


def _names(answering: Answering, path: bytes) -> list[bytes] | int:
    answering.ask(Ask(0, [(path, b"", None)]))
    (answer,) = answering.answer().directories
    return [item.name for item in answer.items] if isinstance(answer, Directory) else answer


def test_a_tree_that_changed_meanwhile_is_looked_at_anew(tmp_path: Path) -> None:
    for directory in ("a", "b"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / f"in-{directory}").write_bytes(b"")
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    answering = Answering(root, 0, lambda *_: None, None)
    try:
        assert _names(answering, b"a") == [b"in-a"]
        assert _names(answering, b"c") == -1
        (tmp_path / "c").mkdir(mode=stat.S_IRWXU)
        (tmp_path / "a").rename(tmp_path / "c/d")
        (tmp_path / "b").rename(tmp_path / "a")
        answering.renew()
        assert _names(answering, b"a") == [b"in-b"]
        assert _names(answering, b"c/d") == [b"in-a"]
    finally:
        answering.close()
        os.close(root)
