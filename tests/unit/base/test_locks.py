import os
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict
from dtesx.base.locks import exclusive

TAKEN = Conflict("somebody works here", hint="wait")


def test_a_lock_is_held_until_its_end_and_by_one_only(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with exclusive(path, TAKEN):
        with pytest.raises(Conflict) as caught, exclusive(path, TAKEN):
            pass
        assert caught.value is TAKEN
    with exclusive(path, TAKEN):
        pass


def test_a_refused_lock_leaves_the_holders_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with exclusive(path, TAKEN) as fd:
        os.write(fd, b"4711\n")
        with pytest.raises(Conflict), exclusive(path, TAKEN):
            pass
        assert path.read_bytes() == b"4711\n"


def test_a_lock_ends_when_its_holder_fails(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), exclusive(path, TAKEN):
        raise ZeroDivisionError
    with exclusive(path, TAKEN):
        pass


def test_only_the_owner_may_read_a_lock_file_and_no_program_inherits_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with exclusive(path, TAKEN) as fd:
        assert path.stat().st_mode & 0o777 == 0o600
        assert not os.get_inheritable(fd)
