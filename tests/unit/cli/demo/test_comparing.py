"""Comparing a server with its replica."""

from __future__ import annotations

from dtesx.cli.demo import comparing

_META = b"81a4 0:0 12 1 0:0 17.5"


def _output(sums: bytes = b"", meta: bytes = b"", links: bytes = b"", attributes: bytes = b"") -> bytes:
    return b"-- next\0".join((sums, meta, links, attributes))


def test_names_of_any_bytes_are_kept() -> None:
    output = _output(b"aa  /srv/new\nline\0bb  /srv/latin1-\xe9\0cc  /srv/two  blanks\0")
    assert comparing.parse(output).contents == {
        "/srv/new\nline": "aa",
        "/srv/latin1-\udce9": "bb",
        "/srv/two  blanks": "cc",
    }


def test_metadata_links_and_attributes_come_together() -> None:
    output = _output(
        meta=_META + b"  /srv/a\xe9\0a1ff 0:0 3 1 0:0 17.5  /srv/link\0",
        links=b"two  blanks\0",
        attributes=b'# file: /srv/a\\351\nuser.b="0x02"\nuser.a="0x01"\n\n',
    )
    assert comparing.parse(output.replace(b"two  blanks", b"target  /srv/link")).entries == {
        "/srv/a\udce9": '81a4 0:0 12 1 0:0 17.5 user.a="0x01" user.b="0x02"',
        "/srv/link": "a1ff 0:0 3 1 0:0 17.5 target",
    }


def test_a_directory_is_compared_by_mode_owner_and_time() -> None:
    before = _output(meta=b"41ed 0:0 4096 7 0:0 17.5  /srv\0")
    same = _output(meta=b"41ed 0:0 61 3 0:0 17.5  /srv\0")
    other = _output(meta=b"41c0 0:0 4096 7 0:0 17.5  /srv\0")
    assert comparing.parse(before) == comparing.parse(same)
    assert comparing.parse(before) != comparing.parse(other)


def test_changed_missing_and_extra_files_differ() -> None:
    server = {"/etc/a": "1", "/etc/b": "2", "/etc/gone": "3"}
    replica = {"/etc/a": "1", "/etc/b": "9", "/etc/extra": "4"}
    found = comparing.compare(server, replica)
    assert found.compared == 4
    assert found.different == ("/etc/b", "/etc/extra", "/etc/gone")
    assert found.on_purpose == {}


def test_what_changes_on_purpose_is_named_and_not_counted() -> None:
    server = {"/etc/fstab": "1", "/etc/hosts": "1", "/srv/ledger/ledger.txt": "1"}
    replica = {"/etc/fstab": "2", "/etc/hosts": "1", "/srv/ledger/ledger.txt": "2"}
    replica["/etc/systemd/network/10-dtesx-eth0.link"] = "3"
    found = comparing.compare(server, replica)
    assert found.different == ()
    assert set(found.on_purpose) == {
        "/etc/fstab",
        "/srv/ledger/ledger.txt",
        "/etc/systemd/network/10-dtesx-eth0.link",
    }


def test_equal_files_are_not_called_changed() -> None:
    assert comparing.compare({"/etc/fstab": "1"}, {"/etc/fstab": "1"}).on_purpose == {}


def test_purposes_do_not_cover_what_they_should_not() -> None:
    for path in ("/etc/passwd", "/etc/ssh/sshd_config", "/etc/systemd/network/50-own.network", "/usr/bin/ls"):
        assert comparing.purpose(path) == ""
