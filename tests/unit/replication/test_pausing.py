from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict
from dtesx.model.target import Paused
from dtesx.replication.pausing import Gate, Pauses


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "paused.json"


def test_a_place_is_paused_and_goes_on(file: Path) -> None:
    pauses = Pauses(file)
    www, mail = pauses.gate("www"), pauses.gate("mail")
    assert pauses.pause("www", 0) == Paused(names=("www",))
    assert (www.shut, mail.shut) == (True, False)
    assert pauses.resume("www") == Paused()
    assert not www.shut


def test_all_places_are_paused_also_those_that_come_later(file: Path) -> None:
    pauses = Pauses(file)
    www = pauses.gate("www")
    pauses.pause("", 0)
    assert www.shut
    assert pauses.gate("later").shut
    with pytest.raises(Conflict, match="because all"):
        pauses.resume("www")
    pauses.resume("")
    assert not www.shut
    assert not pauses.gate("later").shut


def test_resuming_all_resumes_those_that_were_paused_alone(file: Path) -> None:
    pauses = Pauses(file)
    pauses.pause("www", 0)
    pauses.pause("", 0)
    assert pauses.paused == Paused(all=True, names=("www",))
    assert pauses.resume("") == Paused()


def test_a_restart_forgets_nothing(file: Path) -> None:
    Pauses(file).pause("www", 0)
    again = Pauses(file)
    assert again.gate("www").shut
    assert not again.gate("mail").shut


def test_what_is_in_progress_is_waited_for(file: Path) -> None:
    pauses = Pauses(file)
    gate, done, go_on = pauses.gate("www"), threading.Event(), threading.Event()

    def session() -> None:
        with gate.working():
            done.wait(10)
            with gate.resting():
                go_on.wait(10)

    thread = threading.Thread(target=session)
    thread.start()
    try:
        while gate.wait(0):
            pass
        assert pauses.pause("www", 0.01).pending
        threading.Timer(0.05, done.set).start()
        assert not pauses.pause("www", 10).pending
        assert thread.is_alive()
    finally:
        done.set()
        go_on.set()
        thread.join()


def test_a_session_that_ends_does_not_count(file: Path) -> None:
    gate = Gate()
    with pytest.raises(KeyError), gate.working():
        raise KeyError
    assert gate.wait(0)
