"""Trees of any shape with any names: hypothesis looks for the one that does not arrive."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.replication.conftest import Site

from .conftest import prove

pytestmark = pytest.mark.integration

NAMES = st.one_of(
    st.binary(min_size=1, max_size=6),
    st.binary(min_size=255, max_size=255),
    st.sampled_from(
        [b"-rf", b"*", b"a:2,S", b" ", b"\n", b"\xff", b"...", b".a", "é".encode(), b"e\xcc\x81"]
    ),
).filter(
    lambda name: not {0, 47} & set(name) and name not in (b".", b"..") and not name.startswith(b".dtesx")
)
LEAVES = st.one_of(st.binary(max_size=3000), st.sampled_from(["fifo", "link", "hole"]))
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=4),
    lambda below: st.dictionaries(NAMES, st.one_of(LEAVES, below), max_size=5),
    max_leaves=12,
)
Tree = dict[bytes, "bytes | str | Tree"]


def make(where: bytes, tree: Tree) -> None:
    os.mkdir(where)
    for name, what in tree.items():
        path = os.path.join(where, name)
        if isinstance(what, dict):
            make(path, what)
        elif what == "fifo":
            os.mkfifo(path)
        elif what == "link":
            os.symlink(name * 3, path)
        elif what == "hole":
            with open(path, "wb") as file:
                file.truncate(100_000)
        elif isinstance(what, bytes):
            with open(path, "wb") as file:
                file.write(what)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=TREES, after=TREES)
def test_any_tree_becomes_any_other(real: Site, before: Tree, after: Tree) -> None:
    for path in (real.source, real.target, *real.target.parent.glob("roots.json")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    real.target.mkdir()
    make(os.fsencode(real.source), before)
    (real.source / "stays").touch()
    prove(real)
    old = Path(f"{real.source}.old")
    real.source.rename(old)
    make(os.fsencode(real.source), after)
    (real.source / "stays").touch()
    assert real.mirror(rebind=True).problems == ()
    assert real.differences() == ""
    shutil.rmtree(old)
