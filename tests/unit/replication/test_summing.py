from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dtesx.apply import staging
from dtesx.apply.copying import basis_of, write_at
from dtesx.apply.staging import Staging
from dtesx.mirror.sums import BLOCK, STEP, Summer
from dtesx.replication.summing import Summing
from dtesx.wire.sums import SumsRequest

SUMMER = Summer(b"secret")


def test_what_is_kept_is_what_was_compared_however_slowly_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(fd: int, data: memoryview, offset: int) -> None:
        time.sleep(0.01)
        write_at(fd, data, offset)

    monkeypatch.setattr(staging, "write_at", slowly)
    monkeypatch.setattr(staging, "_CLONE", 0)  # as where blocks cannot be shared
    old = os.urandom(8 * STEP)
    new = bytearray(old)
    for step in (1, 2, 5):
        new[step * STEP : (step + 1) * STEP] = bytes(STEP)
    new[0] ^= 1
    (tmp_path / "file").write_bytes(old)
    here, stage = os.open(tmp_path, os.O_RDONLY), Staging()
    summing = Summing(lambda _root: here, SUMMER, stage)
    try:
        summing.ask(SumsRequest(0, 1, b"", b"file", 0, len(new), SUMMER.sums(bytes(new), BLOCK), stage=True))
        answer = summing.answer()
        assert answer.basis == basis_of(os.stat(tmp_path / "file"))
        staged = stage.adopt((0, b"", b"file"), answer.basis)
        assert os.pread(staged.fd, len(old) + 1, 0) == old
        staged.close()
    finally:
        summing.close()
        stage.clear()
        os.close(here)
