"""A source that means harm: it must not reach outside its replication root, nor take the target down."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from dtesx.base.errors import DtesxError, Refused
from dtesx.base.run import run
from dtesx.model.roots import SourceRoot
from dtesx.wire.bond import Bond
from dtesx.wire.channel import TICK, Channel
from dtesx.wire.errors import ProtocolError, StreamUnknown
from dtesx.wire.frames import MAX_TABLE
from dtesx.wire.items import OWN_XATTRS, TEMPORARY_PREFIX, Item
from dtesx.wire.messages import Bind, Commit, Credit, Hello, List, Listing, Message, Replicas, Report, Welcome
from dtesx.wire.operations import (
    Adjust,
    Begin,
    Copy,
    Data,
    End,
    Enter,
    Finish,
    Hole,
    Link,
    Make,
    Operation,
    Operations,
    Put,
    Remove,
)
from dtesx.wire.protocol import PROTOCOL, SourceProtocol, answer, greeting
from dtesx.wire.sums import Basis, Sums, SumsRequest
from dtesx.wire.tls import client_context

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


def _file(name: bytes, size: int = 0, mode: int = 0o644) -> Item:
    return Item(name, stat.S_IFREG | mode, 0, 0, 1, size)


def _link(name: bytes, target: bytes) -> Item:
    return Item(name, stat.S_IFLNK | 0o777, 0, 0, 1, target=target)


def _directory(name: bytes) -> Item:
    return Item(name, stat.S_IFDIR | 0o700, 0, 0, 1)


def _connected(site: Site) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=10)
    return client_context(site.them.certificate, site.us).wrap_socket(plain)


def attack(site: Site, operations: Sequence[Operation], blob: bytes = b"") -> list[tuple[bytes, str]]:
    """Send operations as an authenticated source would; returns the problems, raises what ended it."""
    return _tell(site, Operations(0, list(operations)), blob)


def _opened(site: Site) -> Bond:
    """A bond to the target, let in as the source is; its waits fail the test after 20 s."""
    deadline = time.monotonic() + 20

    def tick() -> None:
        assert time.monotonic() < deadline
        assert bond.slots

    bond = Bond(tick=tick)
    channel = Channel(_connected(site))
    channel.send(greeting("job", ("/data",), os.urandom(16)))
    bond.attach(0, channel.connection, answer(channel.receive(), Welcome).received)
    assert isinstance(SourceProtocol().receive(bond.receive()), Replicas)
    return bond


def _tell(site: Site, message: Message, blob: bytes = b"") -> list[tuple[bytes, str]]:
    bond = _opened(site)
    try:
        bond.send(message, [blob])
        problems = []
        while not bond.outgoing.applied or bond.incoming.ready:
            frame = bond.poll(TICK)
            if frame is not None:
                report = SourceProtocol().receive(frame)
                assert isinstance(report, Report)
                problems += report.problems
        return problems
    finally:
        bond.close()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the target that nobody may touch."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "precious").write_bytes(b"precious")
    (path / "precious").chmod(0o644)
    os.utime(path / "precious", ns=(5, 5))
    return path


def _untouched(outside: Path) -> None:
    assert [p.name for p in outside.iterdir()] == ["precious"]
    status = (outside / "precious").stat()
    assert (status.st_nlink, status.st_mtime_ns, stat.S_IMODE(status.st_mode)) == (1, 5, 0o644)
    assert (outside / "precious").read_bytes() == b"precious"


BAD_NAMES = [
    b"..",
    b".",
    b"",
    b"a/b",
    b"../outside/x",
    b"/etc/x",
    b"nul\0",
    b"x" * 256,
    TEMPORARY_PREFIX + b"1",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_impossible_names_end_the_connection(site: Site, outside: Path, name: bytes) -> None:
    for operation in (
        Put(_file(name, 1), 0),
        Make(_directory(name)),
        Make(_link(name, b"x")),
        Begin(name),
        Link(name, b"x"),
        Remove(name),
        Adjust(_file(name)),
    ):
        with pytest.raises(ProtocolError, match="name"):
            attack(site, [operation], b"x" if isinstance(operation, Put) else b"")
    _untouched(outside)
    assert list(site.target.iterdir()) == []
    _still_serves(site)


def _still_serves(site: Site) -> None:
    (site.source / "after").write_bytes(b"fine")
    site.mirror()
    assert site.differences() == ""


@pytest.mark.parametrize("path", [b"..", b"a/../..", b"/", b"/etc", b"a//b", b"./a", b"a/"])
def test_impossible_paths_end_the_connection(site: Site, outside: Path, path: bytes) -> None:
    with pytest.raises(ProtocolError):
        attack(site, [Make(_directory(b"a")), Enter(path), Put(_file(b"x", 1), 0)], b"x")
    with pytest.raises(ProtocolError):
        attack(site, [Link(b"l", path)])
    _untouched(outside)


def test_symlinks_lead_nowhere(site: Site, outside: Path) -> None:
    away = os.fsencode(outside)
    problems = attack(
        site,
        [
            Make(_link(b"d", away)),
            Make(_link(b"p", away + b"/precious")),
            Put(_file(b"p", 3), 0),  # replaces the link, does not write through it
            Make(_link(b"p2", away + b"/precious")),
            Adjust(_file(b"p2", mode=0o777)),
            Begin(b"p2"),
            Data(0, 3),
            End(_file(b"p2", 3), 0),
            Link(b"stolen", b"d/precious"),
            Enter(b"d"),
            Put(_file(b"x", 3), 0),
            Make(_directory(b"y")),
            Remove(b"precious"),
            Finish(_directory(b"")),
        ],
        b"abcdefghi",
    )
    _untouched(outside)
    assert (site.target / "p").read_bytes() == b"abc"
    assert (site.target / "p2").read_bytes() == b"def"
    assert {path for path, _ in problems} == {b"p2", b"stolen", b"d"}
    _still_serves(site)


def test_a_directory_swapped_for_a_link_while_it_is_open(site: Site, outside: Path) -> None:
    attack(
        site,
        [
            Make(_directory(b"d")),
            Enter(b"d"),
            Put(_file(b"before", 1), 0),
            Enter(b""),
            Remove(b"d"),
            Make(_link(b"d", os.fsencode(outside))),
            Enter(b"d"),
            Put(_file(b"after", 1), 0),
            Finish(_directory(b"")),
            Enter(b""),
            Remove(b"d"),
        ],
        b"12",
    )
    _untouched(outside)


def test_a_hard_link_to_a_symlink_links_the_symlink(site: Site, outside: Path) -> None:
    attack(site, [Make(_link(b"l", os.fsencode(outside) + b"/precious")), Link(b"l2", b"l")])
    _untouched(outside)
    assert (site.target / "l2").is_symlink()


def test_removal_does_not_follow_links_or_enter_mounts(site: Site, outside: Path) -> None:
    attack(site, [Make(_directory(b"d")), Enter(b"d"), Make(_link(b"l", os.fsencode(outside)))])
    attack(site, [Remove(b"d")])
    _untouched(outside)
    assert list(site.target.iterdir()) == []


def test_a_new_directory_swapped_for_a_link_before_it_has_its_name(site: Site, outside: Path) -> None:
    away = os.fsencode(outside)
    attack(
        site,
        [
            Make(_directory(b"d")),
            Make(_link(b"d", away)),
            Enter(b"d"),
            Put(_file(b"x", 1), 0),
            Make(_directory(b"below")),
            Enter(b"d/below"),
            Put(_file(b"precious", 1), 0),
            Enter(b"d"),
            Remove(b"precious"),
            Finish(_directory(b"")),
        ],
        b"12",
    )
    _untouched(outside)
    _still_serves(site)


def test_nothing_is_written_through_devices_fifos_or_hard_links(site: Site, outside: Path) -> None:
    memory = Item(b"zero", stat.S_IFCHR | 0o666, 0, 0, 1, rdev=os.makedev(1, 5))
    fifo = Item(b"fifo", stat.S_IFIFO | 0o600, 0, 0, 1)
    os.link(outside / "precious", site.target / "linked")
    os.utime(outside / "precious", ns=(5, 5))
    problems = attack(
        site,
        [
            Make(memory),
            Make(fifo),
            Adjust(_file(b"zero"), 0x10),  # would open the device
            Adjust(_file(b"fifo"), 0x10),  # would wait for a writer
            Put(_file(b"zero", 1), 0),
            Begin(b"fifo"),
            Data(0, 1),
            End(_file(b"fifo", 1), 0),
            Put(_file(b"linked", 1), 0),
        ],
        b"abc",
    )
    assert [path for path, _ in problems] == [b"zero", b"fifo"]
    assert [(site.target / name).read_bytes() for name in ("zero", "fifo", "linked")] == [b"a", b"b", b"c"]
    assert (outside / "precious").stat().st_nlink == 1
    _untouched(outside)


@pytest.mark.parametrize("bind", [False, True])
def test_what_is_mounted_in_the_replica_is_not_entered(site: Site, outside: Path, bind: bool) -> None:
    mounted = site.target / "mounted"
    mounted.mkdir()
    how = ["--bind", str(outside)] if bind else ["-t", "tmpfs", "none"]
    run(["mount", *how, str(mounted)])
    try:
        problems = attack(
            site,
            [
                Enter(b"mounted"),
                Put(_file(b"x", 1), 0),
                Make(_directory(b"d")),
                Remove(b"precious"),
                Enter(b""),
                Link(b"stolen", b"mounted/precious"),
                Remove(b"mounted"),
                Remove(b"mounted", None, b"attic"),
                Remove(b"mounted", 1 << 62),
                Make(_directory(b"mounted")),
            ],
            b"x",
        )
        assert [path.name for path in mounted.iterdir()] == (["precious"] if bind else [])
    finally:
        run(["umount", str(mounted)])
    assert {path for path, _ in problems} == {b"mounted", b"stolen"}
    assert not (site.target / "stolen").exists()
    _untouched(outside)


@pytest.mark.parametrize("move_to", [b"..", b"../outside", b"/etc", b"a/../../outside", b"a//b", b"./a"])
def test_orphans_are_not_moved_elsewhere(site: Site, outside: Path, move_to: bytes) -> None:
    (site.target / "orphan").touch()
    with pytest.raises(ProtocolError):
        attack(site, [Remove(b"orphan", None, move_to)])
    assert (site.target / "orphan").exists()
    _untouched(outside)


def test_orphans_are_not_moved_through_links(site: Site, outside: Path) -> None:
    beside = site.target.parent / "target.orphans"
    beside.mkdir()
    (beside / "attic").symlink_to(outside)
    (site.target / "precious").touch()
    with pytest.raises(Refused, match="cannot be moved"):
        attack(site, [Remove(b"precious", None, b"attic")])
    _untouched(outside)
    (site.target / "d").mkdir()
    (site.target / "d" / "precious").touch()
    (beside / "other").mkdir()
    (beside / "other" / "d").symlink_to(outside)
    assert attack(site, [Enter(b"d"), Remove(b"precious", None, b"other")]) == []
    assert (beside / "other" / "d.1" / "precious").exists()
    _untouched(outside)


def test_orphans_are_moved_to_one_place_only(site: Site) -> None:
    for name in ("a", "b"):
        (site.target / name).touch()
    with pytest.raises(ProtocolError, match="two places"):
        attack(site, [Remove(b"a", None, b"one"), Remove(b"b", None, b"two")])
    _still_serves(site)


@pytest.mark.parametrize(
    ("operations", "blob"),
    [
        ([Put(_file(b"x", 10), 0)], b"short"),
        ([Put(_file(b"x", 1), 0)], b"too much"),
        ([Put(_file(b"x", -1), 0)], b""),
        ([Put(_link(b"x", b"y"), 0)], b""),
        ([Make(_file(b"x"))], b""),
        ([Make(Item(b"x", 0o644, 0, 0, 1))], b""),
        ([Make(_link(b"x", b"nul\0"))], b""),
        ([Data(0, 1)], b"x"),
        ([Begin(b"x"), Begin(b"y")], b""),
        ([Begin(b"x"), Data(-1, 1)], b"x"),
        ([Begin(b"x"), Data(2**63 - 1, 1)], b"x"),
        ([Begin(b"x"), End(_file(b"y"), 0)], b""),
        ([Begin(b"x", None, in_place=True)], b""),
        ([Begin(b"x", size=-1)], b""),
        ([Begin(b"x"), Copy(0, 1, 0)], b""),
        ([Begin(b"x"), Copy(0, -1, 0)], b""),
        ([Begin(b"x"), Copy(2**63 - 1, 1, 0)], b""),
        ([Begin(b"x"), Hole(0, 1)], b""),
        ([Begin(b"x"), Hole(0, 2**63)], b""),
        ([Copy(0, 1, 0)], b""),
        ([Begin(b"x"), End(_file(b"x", -1), 0)], b""),
        ([Finish(_file(b""))], b""),
        ([Make(Item(b"x", stat.S_IFCHR | 0o600, 0, 0, 1, rdev=-1))], b""),
        ([Make(Item(b"x", stat.S_IFDIR | 0o700, 1 << 32, 0, 1))], b""),
        ([Put(msgspec.structs.replace(_file(b"x"), xattrs=((b"nul\0", b""),)), 0)], b""),
    ],
)
def test_nonsense_ends_the_connection(site: Site, operations: list[Operation], blob: bytes) -> None:
    with pytest.raises(ProtocolError):
        attack(site, operations, blob)
    _still_serves(site)


@pytest.mark.parametrize(
    "request_",
    [
        SumsRequest(7, 1, b"", b"x", 0, 1, bytes(16)),
        SumsRequest(0, 1, b"", b"x", -1, 1, bytes(16)),
        SumsRequest(0, 1, b"", b"x", 0, 0, bytes(16)),
        SumsRequest(0, 1, b"", b"x", 0, 1, bytes(15)),
        SumsRequest(0, 1, b"", b"x", 0, 1, bytes(32)),
        SumsRequest(0, 1, b"", b"x", 0, 9 << 20, bytes(16 * 144)),
        SumsRequest(0, 1, b"", b"x", 2**63 - 1, 1, b""),
        SumsRequest(0, 1, b"", b"..", 0, 1, bytes(16)),
        SumsRequest(0, 1, b"..", b"x", 0, 1, bytes(16)),
        SumsRequest(0, 1, b"", b"x", 0, 1, bytes(16), chunks=True),
        SumsRequest(0, 1, b"", b"x", 0, 1, b"", stage=True, chunks=True),
        SumsRequest(0, 1, b"", b"x", 0, 9 << 20, b"", chunks=True),
    ],
)
def test_impossible_questions_end_the_connection(site: Site, request_: SumsRequest) -> None:
    with pytest.raises(ProtocolError):
        _ask(site, request_)
    _still_serves(site)


def test_sums_are_told_of_plain_files_of_the_replica_alone(site: Site, outside: Path) -> None:
    (site.target / "link").symlink_to(outside / "precious")
    (site.target / "dir").symlink_to(outside)
    os.mkfifo(site.target / "fifo")
    for directory, name in ((b"", b"link"), (b"dir", b"precious"), (b"", b"fifo"), (b"", b"nothing")):
        assert _ask(site, SumsRequest(0, 1, directory, name, 0, 1, bytes(16))) == Sums(1)


def test_a_file_with_a_name_outside_is_not_changed_in_place(site: Site, outside: Path) -> None:
    os.link(outside / "precious", site.target / "x")
    status = (site.target / "x").stat()
    basis = Basis(status.st_ino, status.st_size, status.st_mtime_ns)
    operations: list[Operation] = [Begin(b"x", basis, in_place=True), Data(0, 1), End(_file(b"x", 8), 0)]
    assert "several names" in attack(site, operations, b"!")[0][1]
    (site.target / "x").unlink()
    _untouched(outside)


def test_what_dtesx_keeps_on_a_target_is_not_the_sources_to_say(site: Site) -> None:
    own = ((OWN_XATTRS + b"x", b"1"),)
    root = Item(b"", stat.S_IFDIR | 0o755, 0, 0, 0, xattrs=own)
    file = Item(b"own", stat.S_IFREG | 0o644, 0, 0, 0, xattrs=own)
    attack(site, [Put(file, 0), Finish(root)])
    for path in (site.target, site.target / "own"):
        assert os.fsdecode(own[0][0]) not in os.listxattr(path)
    _still_serves(site)


def _ask(site: Site, request: SumsRequest) -> object:
    bond = _opened(site)
    try:
        protocol = SourceProtocol()
        bond.send(protocol.ask_sums(request))
        return protocol.receive(bond.receive())
    finally:
        bond.close()


@pytest.mark.parametrize(
    "message",
    [
        Bind(1, SourceRoot("/etc", 1, "", 1)),
        Replicas(()),
        Operations(7, []),
        Commit(1),
        List(0, 0),
        Listing(0, []),
        Credit(65),
        Report([], 0),
    ],
)
def test_what_no_source_may_say(site: Site, message: Message) -> None:
    with pytest.raises(ProtocolError):
        _tell(site, message)
    _still_serves(site)


def test_a_source_binds_no_root_but_its_own(site: Site) -> None:
    _tell(site, Bind(0, SourceRoot("/elsewhere", 1, "a", 1)))
    assert '"/data"' in (site.target.parent / "roots.json").read_text()


def test_another_protocol_version_is_refused_by_name(site: Site) -> None:
    channel = Channel(_connected(site))
    channel.send(Hello(PROTOCOL + 1, "job", ("/data",)))
    with pytest.raises(Refused, match=f"protocol {PROTOCOL}") as caught:
        answer(channel.receive(), Welcome)
    assert "same version" in caught.value.hint
    channel.close()
    _still_serves(site)


@pytest.mark.parametrize("hello", [{"stream": b"short"}, {"slot": -1}, {"slot": 16}])
def test_impossible_streams_are_refused(site: Site, hello: dict[str, object]) -> None:
    channel = Channel(_connected(site))
    channel.send(msgspec.structs.replace(greeting("job", ("/data",), bytes(16)), **hello))
    with pytest.raises(DtesxError, match="impossible stream"):
        answer(channel.receive(), Welcome)
    channel.close()
    _still_serves(site)


def test_a_stream_that_the_target_does_not_know(site: Site) -> None:
    channel = Channel(_connected(site))
    channel.send(msgspec.structs.replace(greeting("job", ("/data",), bytes(16)), resume=True))
    with pytest.raises(StreamUnknown):
        answer(channel.receive(), Welcome)
    channel.close()
    _still_serves(site)


def _header(kind: int, flags: int, sequence: int, table: int, body: int) -> bytes:
    return struct.pack("!4sBBHQIII", b"DTSX", kind, flags, 0, sequence, table, 0, body)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n" * 10,
        b"DTSX" + bytes(200),
        _header(1, 0, 0, 4, 4) + b"\xc1\xc1\xc1\xc1",
        _header(1, 0, 0, MAX_TABLE + 1, MAX_TABLE + 1),
        _header(1, 0, 2, 1, 1),
        _header(7, 0, 1, 100, 100) + b"\x91" * 100,
        _header(1, 1, 0, 100, 50) + os.urandom(50),
        os.urandom(5000),
    ],
)
def test_garbage_ends_the_connection_only(site: Site, garbage: bytes) -> None:
    with _connected(site) as sock:
        sock.sendall(garbage)
        if len(garbage) > 20:
            with pytest.raises(DtesxError):
                answer(Channel(sock).receive(), Welcome)
    _still_serves(site)


def test_callers_without_tls_do_not_block_the_source(site: Site) -> None:
    idle = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(3)]
    idle[0].sendall(b"hello?")
    _still_serves(site)
    for sock in idle:
        sock.close()
