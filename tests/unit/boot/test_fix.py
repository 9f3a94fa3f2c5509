from __future__ import annotations

import errno
from pathlib import Path

import pytest

from dtesx.base.errors import DtesxError, TargetFull
from dtesx.boot import fix
from dtesx.model.inventory import Firmware
from dtesx.model.layout import Layout
from dtesx.model.wiring import Wiring


def test_steps_have_names_and_the_loader_is_last() -> None:
    names = [name for name, _ in fix.steps(Firmware.BIOS)]
    assert len(set(names)) == len(names)
    assert names[-1] == "boot loader"


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, TargetFull), (errno.EIO, DtesxError)])
def test_a_failing_disk_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DtesxError]
) -> None:
    def failing(_: object) -> tuple[str, ...]:
        raise OSError(number, "why")

    monkeypatch.setattr(fix, "steps", lambda _: (("fstab", failing),))
    with pytest.raises(kind, match="fstab") as caught:
        fix.make_bootable(tmp_path, Layout(Firmware.BIOS, ()), tmp_path, Wiring())
    assert caught.value.hint
