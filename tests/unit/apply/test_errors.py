from __future__ import annotations

import errno
import os

import pytest

from dtesx.apply.errors import TRIES, persist
from dtesx.base.errors import DtesxError, Interrupted


class Disk:
    """Fails with each of ``errors`` in turn, then succeeds."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.holds: list[bool] = []

    def act(self) -> None:
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))

    def hold(self, full: bool, _reason: str) -> None:
        self.holds.append(full)

    def persist(self) -> OSError | None:
        try:
            self.act()
        except OSError as error:
            return persist(self.act, error, "a/path", self.hold)
        return None


def test_want_of_space_is_waited_for_without_limit() -> None:
    disk = Disk(*[errno.ENOSPC] * 50, *[errno.EDQUOT] * 50)
    assert disk.persist() is None
    assert disk.holds == [True] * 100


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ETXTBSY, errno.ENOMEM, errno.EMFILE, errno.ENFILE])
def test_passing_failures_are_repeated_a_few_times(number: int) -> None:
    assert Disk(*[number] * TRIES).persist() is None
    disk = Disk(*[number] * (TRIES + 1))
    lasting = disk.persist()
    assert lasting is not None
    assert lasting.errno == number
    assert disk.holds == [False] * TRIES


def test_waiting_for_space_does_not_use_up_the_tries() -> None:
    mixed = [errno.EBUSY, errno.ENOSPC, errno.ENOSPC, errno.EBUSY, errno.ENOSPC, errno.EBUSY]
    assert Disk(*mixed).persist() is None


def test_a_path_that_cannot_be_is_not_repeated() -> None:
    disk = Disk(errno.ENOTEMPTY, errno.EACCES)
    lasting = disk.persist()
    assert lasting is not None
    assert lasting.errno == errno.ENOTEMPTY
    assert disk.holds == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
def test_a_broken_file_system_ends_it(number: int) -> None:
    with pytest.raises(DtesxError, match="a/path") as caught:
        Disk(errno.ENOSPC, number).persist()
    assert "dmesg" in caught.value.hint


def test_the_wait_may_end_it() -> None:
    disk = Disk(errno.ENOSPC)

    def stopped(_full: bool, _reason: str) -> None:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        persist(disk.act, OSError(errno.ENOSPC, "full"), "x", stopped)
