from __future__ import annotations

import ctypes
import errno
import os
import struct
from dataclasses import dataclass, field

import pytest

from dtesx.capture import handles
from dtesx.capture.handles import inode_of, open_handle


@pytest.mark.parametrize(
    ("kind", "content", "identity"),
    [
        pytest.param(0x1, struct.pack("=II", 12, 7), (0, 12, 7), id="ext4"),
        pytest.param(0x81, struct.pack("=QI", 1 << 40, 7), (0, 1 << 40, 7), id="xfs"),
        pytest.param(0x4D, struct.pack("=QQI", 257, 5, 7), (5, 257, 7), id="btrfs"),
        pytest.param(0x1, struct.pack("=III", 12, 7, 9), None, id="tmpfs"),
        pytest.param(0xF7, bytes(16), None, id="unknown"),
    ],
)
def test_a_handle_holds_the_identity(
    kind: int, content: bytes, identity: tuple[int, int, int] | None
) -> None:
    assert inode_of(struct.pack("=Ii", len(content), kind) + content) == identity


@dataclass
class Kernel:
    """open_by_handle_at(2) that fails so often before it succeeds."""

    failures: list[int] = field(default_factory=list)

    def open_by_handle_at(self, *_arguments: object) -> int:
        if not self.failures:
            return os.open(".", os.O_PATH)
        ctypes.set_errno(self.failures.pop())
        return -1


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(handles, "_libc", kernel)
    monkeypatch.setattr(handles, "_PAUSE", 0)
    return kernel


def test_a_file_that_is_just_being_made_is_waited_for(kernel: Kernel) -> None:
    kernel.failures = [errno.ENOMEM] * 3
    os.close(open_handle(-1, b""))
    assert not kernel.failures


def test_what_is_gone_is_gone_at_once(kernel: Kernel) -> None:
    kernel.failures = [errno.EACCES, errno.ESTALE]
    with pytest.raises(OSError, match="Stale"):
        open_handle(-1, b"")
    assert kernel.failures == [errno.EACCES]


def test_memory_that_stays_short_is_told(kernel: Kernel) -> None:
    kernel.failures = [errno.ENOMEM] * 1000
    with pytest.raises(OSError, match="memory"):
        open_handle(-1, b"")
