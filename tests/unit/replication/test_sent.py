from __future__ import annotations

import stat

from dtesx.replication.sent import Sent
from dtesx.wire.items import Item
from dtesx.wire.operations import Begin, Data, Enter, Finish, Link, Operation, Put, Remove


def item(name: bytes) -> Item:
    return Item(name, stat.S_IFREG | 0o600, 0, 0, 0)


def test_operations_wait_until_their_frame_is_durable() -> None:
    sent = Sent()
    sent.add(1, b"/srv", [Enter(b""), Put(item(b"a"), 0)])
    sent.add(4, b"/srv", [Enter(b""), Put(item(b"b"), 0), Put(item(b"c"), 0)])
    assert (sent.operations(), sent.operations(range(4, 9))) == (5, 3)
    sent.release(3)
    assert (sent.operations(), sent.operations(range(4))) == (3, 0)
    sent.release(4)
    assert sent.operations() == 0


def test_the_last_name() -> None:
    sent = Sent()
    frames: list[tuple[list[Operation], bytes]] = [
        ([Enter(b""), Put(item(b"a"), 0)], b"/srv/a"),
        ([Enter(b"x"), Put(item(b"b"), 0), Enter(b"x/y"), Link(b"c", b"a")], b"/srv/x/y/c"),
        ([Enter(b"x"), Begin(b"large"), Data(0, 10)], b"/srv/x/large"),
        ([Enter(b"x"), Data(10, 10)], b"/srv/x/large"),
        ([Enter(b"z"), Remove(b"gone"), Finish(item(b""))], b"/srv/z/gone"),
    ]
    assert sent.last == b""
    for number, (operations, last) in enumerate(frames, 1):
        sent.add(number, b"/srv", operations)
        assert sent.last == last
