"""Comparing a server with its replica."""

from __future__ import annotations

from dtesx.cli.demo import comparing


def test_names_of_any_bytes_are_kept() -> None:
    output = b"aa  /srv/new\nline\0bb  /srv/latin1-\xe9\0cc  /srv/two  blanks\0"
    assert comparing.parse(output) == {
        "/srv/new\nline": "aa",
        "/srv/latin1-\udce9": "bb",
        "/srv/two  blanks": "cc",
    }


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
