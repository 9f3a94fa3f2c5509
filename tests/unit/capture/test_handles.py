from __future__ import annotations

import struct

import pytest

from dtesx.capture.handles import inode_of


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
