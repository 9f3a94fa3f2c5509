import pytest

from dtesx.base.errors import UsageError
from dtesx.lab.apt_sources import debian_lines

DEB822 = """Types: deb
# a comment in the stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


def test_deb822_sources_become_one_line_each_with_their_key() -> None:
    key = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
    assert debian_lines({"debian.sources": DEB822}) == (
        f"deb [{key}] http://mirror.example/debian bookworm main",
        f"deb [{key}] http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/debian-security bookworm-security main",
    )


def test_third_parties_are_left_out() -> None:
    text = """
deb http://archive.example/debian bookworm main
deb [arch=amd64] https://download.docker.example/linux/debian bookworm stable
deb https://apt.postgres.example/pub/repos/apt bookworm-pgdg main
deb https://packages.example/debian/12/prod bookworm main
deb https://packages.cloud.example/apt cloud-sdk-bookworm main
deb-src http://archive.example/debian bookworm main
# deb http://other.example/debian bookworm main
"""
    assert debian_lines({"sources.list": text}) == ("deb http://archive.example/debian bookworm main",)


def test_options_of_a_mirror_are_kept() -> None:
    line = "deb [trusted=yes] http://10.0.0.1/debian/ bookworm main # ours"
    assert debian_lines({"a.list": line}) == ("deb [trusted=yes] http://10.0.0.1/debian/ bookworm main",)


def test_a_disabled_stanza_does_not_count_and_no_archive_is_a_clear_error() -> None:
    disabled = {"debian.sources": DEB822.replace("Types: deb\n", "Types: deb\nEnabled: no\n")}
    for files in ({}, disabled):
        with pytest.raises(UsageError, match="no archive of Debian") as caught:
            debian_lines(files)
        assert "sources.list" in caught.value.hint
