from __future__ import annotations

import pytest

from dtesx.replication.sending import excluded


@pytest.mark.parametrize(
    ("mount_point", "path", "relative"),
    [
        ("/", "/var/cache", {b"var/cache"}),
        ("/var", "/var/cache/", {b"cache"}),
        ("/var", "/variable", set()),
        ("/srv/data", "/srv", set()),
        ("/srv", "/srv", set()),
        ("/", "/tmp/../etc", {b"etc"}),
        ("/..odd", "/..odd/..x", {b"..x"}),
    ],
)
def test_excluded_paths_are_relative_to_their_file_system(
    mount_point: str, path: str, relative: set[bytes]
) -> None:
    assert excluded(mount_point, (path,)) == relative
