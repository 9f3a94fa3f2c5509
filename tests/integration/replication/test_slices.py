"""Mirrors of everything while it changes: in slices, with what changed sent in between."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from dtesx.model.replication import Remirror, ReplicationOptions, ReplicationPhase
from dtesx.replication.continuous import replicating as module
from dtesx.replication.continuous.slicing import Position
from dtesx.replication.continuous.updating import Updater
from dtesx.replication.pausing import Gate

from .conftest import Site
from .test_replicating import Running, difference, replicating, settled
from .vandal import Vandal

pytestmark = pytest.mark.integration

HURRIED = ReplicationOptions(epoch=0.001)
"""A slice is one directory."""


def tree(site: Site, *, directories: int = 40, linked: int = 30) -> None:
    for number in range(directories):
        directory = site.source / f"{number % 7}" / f"{number}"
        directory.mkdir(parents=True)
        (directory / "file").write_bytes(random.randbytes(1000))
        (directory / "large").write_bytes(random.randbytes(300_000))
    for number in range(linked):
        os.link(
            site.source / f"{number % 7}/{number}/file",
            site.source / f"{(number + 3) % 7}/{number + 3}/link-{number}",
        )


@contextmanager
def vandalized(site: Site, seed: int) -> Iterator[None]:
    """Somebody is at work there all the time."""
    stop = threading.Event()

    def work() -> None:
        vandal = Vandal(site.source, seed)
        while not stop.is_set():
            vandal.act(3)
            stop.wait(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def mirrored(running: Running) -> None:
    running.until(lambda state: state.phase is ReplicationPhase.REPLICATING and state.epoch is not None)


@pytest.mark.parametrize("seed", range(3))
def test_a_first_mirror_of_what_changes_all_the_time_converges(bare_site: Site, seed: int) -> None:
    tree(bare_site)
    with (
        bare_site.receiver(),
        vandalized(bare_site, seed),
        replicating(bare_site, options=HURRIED) as running,
    ):
        mirrored(running)
    with bare_site.receiver(), replicating(bare_site, options=HURRIED) as running:
        running.caught_up()
    assert difference(bare_site, "--checksum") == b""


@pytest.mark.parametrize("seed", range(3))
def test_a_mirror_again_of_what_changes_all_the_time_converges(bare_site: Site, seed: int) -> None:
    tree(bare_site)
    with bare_site.receiver(), replicating(bare_site) as running:
        running.caught_up()
    Vandal(bare_site.source, seed).act(300)
    with bare_site.receiver(), replicating(bare_site, options=HURRIED) as running:
        with vandalized(bare_site, seed + 100):
            mirrored(running)
        running.caught_up()
        assert difference(bare_site, "--checksum") == b""


def test_what_changes_arrives_before_a_mirror_has_ended(bare_site: Site) -> None:
    tree(bare_site, directories=400, linked=0)
    news = bare_site.source / "0/0/news"
    replica = bare_site.target / "0/0/news"
    arrived = threading.Event()

    def status(state: object) -> None:
        running.states.append(state)  # type: ignore[arg-type]
        if state.phase is ReplicationPhase.MIRRORING:  # type: ignore[attr-defined]
            if (bare_site.target / "0/0/file").exists():
                news.touch()
            if replica.exists() and not (bare_site.target / "6/6/file").exists():
                arrived.set()

    running = Running()
    with bare_site.receiver(), replicating(bare_site, options=HURRIED, status=status):
        running.caught_up()
        settled(bare_site)  # what was touched last comes after the mirror
    assert arrived.is_set()


def test_a_target_that_forgets_during_a_mirror_gets_what_it_lost(bare_site: Site) -> None:
    tree(bare_site)
    with bare_site.receiver(), replicating(bare_site) as running:
        running.caught_up()
    Vandal(bare_site.source, 7).act(300)
    with bare_site.receiver():
        port = bare_site.port
        context = replicating(bare_site, options=HURRIED)
        running = context.__enter__()
        running.until(lambda state: state.phase is ReplicationPhase.MIRRORING)
    with bare_site.receiver(port=port):
        running.caught_up()
        assert difference(bare_site, "--checksum") == b""
        context.__exit__(None, None, None)


@pytest.mark.parametrize("kind", [Remirror.ATTRIBUTES, Remirror.DATA])
def test_more_changes_than_can_be_told_apart_are_found_again(
    bare_site: Site, monkeypatch: pytest.MonkeyPatch, kind: Remirror
) -> None:
    monkeypatch.setattr(module, "QueueLimits", lambda: SimpleNamespace(memory=60_000))
    monkeypatch.setattr(module, "_DRAIN", 0.1)
    gate = Gate()
    tree(bare_site)
    options = ReplicationOptions(epoch=0.05, remirror=kind)
    with bare_site.receiver(gate=gate), replicating(bare_site, options=options) as running:
        running.caught_up()
        gate.turn(shut=True)
        (bare_site.source / "0/0/file").write_bytes(b"something to wait for")
        vandal = Vandal(bare_site.source, 5)

        def overflow() -> bool:
            vandal.act(50)
            for number in range(200):
                (bare_site.source / f"new-{random.random()}-{number}").touch()
            return running.states[-1].blurred

        _until(overflow)
        assert max(state.hints for state in running.states) <= 60_000
        gate.turn(shut=False)
        running.until(lambda state: not state.blurred)
        running.caught_up()
        assert difference(bare_site, "--checksum") == b""


def test_without_remirrors_an_overflow_waits_for_a_command(
    bare_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QueueLimits", lambda: SimpleNamespace(memory=20_000))
    tree(bare_site)
    options = ReplicationOptions(epoch=0.05, remirror=Remirror.NONE)
    with bare_site.receiver():
        with replicating(bare_site, options=options) as running:
            running.caught_up()

            def overflow() -> bool:
                for number in range(1000):
                    (bare_site.source / f"new-{random.random()}-{number}").touch()
                return running.states[-1].phase is ReplicationPhase.UNMIRRORED

            _until(overflow)
            assert difference(bare_site)
        with replicating(bare_site, options=options) as running:
            running.caught_up()
            assert difference(bare_site) == b""


def test_hard_links_and_orphans_across_slices(bare_site: Site) -> None:
    tree(bare_site)
    with bare_site.receiver(), replicating(bare_site, options=HURRIED) as running:
        running.caught_up()
    assert difference(bare_site) == b""
    # Linked on the target, two files on the source: with the same content, or with another.
    for number in range(10):
        link = bare_site.source / f"{(number + 3) % 7}/{number + 3}/link-{number}"
        copy = link.read_bytes()
        status = link.stat()
        link.unlink()
        link.write_bytes(copy if number % 2 else b"other")
        os.utime(link, ns=(status.st_mtime_ns, status.st_mtime_ns))
    os.rename(bare_site.source / "6", bare_site.source / "0/moved")
    with bare_site.receiver(), replicating(bare_site, options=HURRIED) as running:
        running.caught_up()
    assert difference(bare_site, "--checksum") == b""
    for path in (bare_site.target / "0").rglob("link-*"):
        source = bare_site.source / path.relative_to(bare_site.target)
        assert path.stat().st_nlink == source.stat().st_nlink


def one_file(*paths: Path) -> bool:
    """Whether all of them are names of one file, and it has no others."""
    found = {(path.stat().st_ino, path.stat().st_nlink) for path in paths}
    return len(found) == 1 and found.pop()[1] == len(paths)


@contextmanager
def between_slices(monkeypatch: pytest.MonkeyPatch, act: Callable[[Position], bool]) -> Iterator[None]:
    """Call ``act`` after every slice, which is one directory, until it has done something."""
    real, done = Updater.slice, False

    def slice_(updater: Updater, *args: object) -> object:
        nonlocal done
        session, root, hints, _ = args
        left = real(updater, session, root, hints, lambda: True)  # type: ignore[arg-type]
        if not done and updater.mirroring is not None:
            done = act(updater.position(updater.mirroring))
        return left

    monkeypatch.setattr(Updater, "slice", slice_)
    yield
    assert done


@pytest.mark.parametrize("linked_here", [True, False])
def test_what_is_one_file_on_one_side_alone(bare_site: Site, linked_here: bool) -> None:
    here, there = bare_site.source, bare_site.target
    for side, linked in ((here, linked_here), (there, not linked_here)):
        for directory in "az":
            (side / directory).mkdir(parents=True)
        (side / "a/one").write_bytes(b"the same")
        if linked:
            os.link(side / "a/one", side / "z/two")
        else:
            (side / "z/two").write_bytes(b"the same")
        for name in ("a/one", "z/two"):
            os.utime(side / name, (5, 5))
    with bare_site.receiver(), replicating(bare_site, options=HURRIED) as running:
        running.caught_up()
    assert difference(bare_site, "--checksum") == b""
    assert one_file(there / "a/one", there / "z/two") == linked_here


def test_names_of_one_file_that_the_replica_has_as_two_are_linked_by_a_mirror_again(bare_site: Site) -> None:
    tree(bare_site, linked=3)
    link = bare_site.target / "3/3/link-0"
    with bare_site.receiver(), replicating(bare_site, options=HURRIED) as running:
        running.caught_up()
    status = link.stat()
    content = link.read_bytes()
    link.unlink()
    link.write_bytes(content)
    os.utime(link, ns=(status.st_mtime_ns, status.st_mtime_ns))
    with bare_site.receiver(), replicating(bare_site, options=HURRIED) as running:
        running.caught_up()
    assert one_file(link, bare_site.target / "0/0/file")


def test_a_file_that_gets_a_second_name_when_the_first_was_sent(
    bare_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = bare_site.source, bare_site.target
    for directory in "amz":
        (here / directory).mkdir()
    (here / "a/one").write_bytes(b"something")

    def link(position: Position) -> bool:
        if position.after != b"a":
            return False
        os.link(here / "a/one", here / "z/two")
        return True

    with between_slices(monkeypatch, link), bare_site.receiver(), replicating(bare_site) as running:
        running.caught_up()
    assert one_file(there / "a/one", there / "z/two")


def test_a_file_that_is_written_and_gets_another_name_before_the_linked_ones_are_sent(
    bare_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = bare_site.source, bare_site.target
    for directory in "amz":
        (here / directory).mkdir()
    (here / "a/one").write_bytes(b"something")
    os.link(here / "a/one", here / "z/two")
    written = False

    def rename(position: Position) -> bool:
        nonlocal written
        if position.after == b"a" and not written:
            (here / "a/one").write_bytes(b"another content")
            written = True
        if position.walked:
            os.rename(here / "z/two", here / "m/two")
        return position.walked

    with between_slices(monkeypatch, rename), bare_site.receiver(), replicating(bare_site) as running:
        running.caught_up()
    assert difference(bare_site, "--checksum") == b""
    assert one_file(there / "a/one", there / "m/two")


def test_a_file_that_loses_its_other_name_before_the_linked_ones_are_sent(
    bare_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = bare_site.source, bare_site.target
    for directory in "amz":
        (here / directory).mkdir()
    (here / "a/one").write_bytes(b"something")
    os.link(here / "a/one", here / "m/two")

    def unlink(position: Position) -> bool:
        if position.after != b"m":
            return False
        (here / "m/two").unlink()
        return True

    with between_slices(monkeypatch, unlink), bare_site.receiver(), replicating(bare_site) as running:
        running.caught_up()
    assert (there / "a/one").read_bytes() == b"something"
    assert difference(bare_site) == b""


def test_the_times_of_a_directory_in_which_names_came_and_went_before_its_slice(
    bare_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in "amz":
        (bare_site.source / directory).mkdir()
    with bare_site.receiver(), replicating(bare_site) as running:
        running.caught_up()

    def come_and_go(position: Position) -> bool:
        if position.after != b"a":
            return False
        (bare_site.source / "z/passing").touch()
        (bare_site.source / "z/passing").unlink()
        return True

    with between_slices(monkeypatch, come_and_go), bare_site.receiver(), replicating(bare_site) as running:
        running.caught_up()
        assert difference(bare_site) == b""


def _until(done: Callable[[], bool]) -> None:
    for _ in range(200):
        if done():
            return
    raise AssertionError("it never came so far")
