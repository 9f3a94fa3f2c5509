from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtesx.mirror.ahead import Ahead, copy_parts, exactly
from dtesx.mirror.gathering import NotStill
from dtesx.model.changes import Changes, Touch

PAGE = 4096
PAGES = 320  # more than is always read whole
END = 1 << 40
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY

Step = tuple[str, int, int]
steps = st.tuples(
    st.sampled_from(["write", "truncate", "grow"]), st.integers(0, PAGES - 1), st.integers(1, 8)
)


@contextmanager
def place() -> Iterator[tuple[Path, int, int]]:
    """A tree with a file, descriptors of it and of a directory for copies."""
    with ExitStack() as stack:
        at = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (at / "tree").mkdir()
        (at / "copies").mkdir()
        (at / "tree" / "file").write_bytes(os.urandom(PAGES * PAGE))
        fds = [os.open(at / name, _DIRECTORY) for name in ("tree", "copies")]
        for fd in fds:
            stack.callback(os.close, fd)
        yield at / "tree" / "file", fds[0], fds[1]


def carry_out(file: Path, step: Step) -> tuple[int, int]:
    """Change the file; returns the part that is told."""
    kind, page, count = step
    with file.open("r+b") as opened:
        if kind == "truncate":
            opened.truncate(page * PAGE + count)
            return page * PAGE, END
        opened.seek(page * PAGE if kind == "write" else 0, os.SEEK_SET if kind == "write" else os.SEEK_END)
        begin = opened.tell() // PAGE * PAGE
        opened.write(os.urandom(count * PAGE))
        return begin, -(-opened.tell() // PAGE) * PAGE


def told(spans: list[tuple[int, int]]) -> Changes:
    changes = Changes()
    for span in spans:
        changes.add(Changes({b"": {b"file": Touch.CONTENT}}, {b"file": (span,)}))
    return changes


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(steps, min_size=1, max_size=4), min_size=1, max_size=4), st.lists(steps, max_size=4))
def test_a_copy_has_what_the_file_had_in_the_end(before: list[list[Step]], at_last: list[Step]) -> None:
    with place() as (file, tree, copies):
        ahead, all_spans = Ahead(copies), list[tuple[int, int]]()
        for some in before:
            spans = [carry_out(file, step) for step in some]
            all_spans += spans
            ahead.update(tree, told(spans), lambda: None)
        late = told([carry_out(file, step) for step in at_last])
        all_spans += late.spans.get(b"file", ())
        status, data = file.stat(), file.read_bytes()
        taken = ahead.take(b"file", status, late)
        if taken is None:  # it was too small at some time
            assert any(step[0] == "truncate" for some in before for step in some)
            return
        copy, rest = taken
        with file.open("rb") as opened:
            size = status.st_size
            copy_parts(opened.fileno(), copy.file, copies, status, exactly(rest, size), lambda: None)
        found = (Path(f"/proc/self/fd/{copies}") / os.fsdecode(copy.file)).read_bytes()
        assert len(found) == len(data)
        for begin, end in all_spans:
            assert found[begin:end] == data[begin:end]


@pytest.mark.parametrize("touch", [Touch.APPEARED, Touch.CONTENT])
def test_a_file_of_which_anything_may_have_changed_has_no_copy(touch: Touch) -> None:
    with place() as (file, tree, copies):
        ahead = Ahead(copies)
        ahead.update(tree, told([(0, PAGE)]), lambda: None)
        assert ahead.take(b"file", file.stat(), Changes({b"": {b"file": touch}})) is None


def test_another_file_in_its_place_has_no_copy() -> None:
    with place() as (file, tree, copies):
        ahead = Ahead(copies)
        ahead.update(tree, told([(0, PAGE)]), lambda: None)
        other = file.with_name("other")
        other.write_bytes(file.read_bytes())
        assert ahead.take(b"file", other.stat(), Changes()) is None


def test_a_copy_that_could_not_be_made_up_to_date_is_dropped() -> None:
    with place() as (file, tree, copies):
        ahead = Ahead(copies)
        ahead.update(tree, told([(0, PAGE)]), lambda: None)

        def late() -> None:
            raise NotStill("")

        with pytest.raises(NotStill):
            ahead.update(tree, told([(PAGE, 2 * PAGE)]), late)
        assert ahead.take(b"file", file.stat(), Changes()) is None
        assert os.listdir(copies) == []
