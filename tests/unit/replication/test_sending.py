from __future__ import annotations

import pytest

from dtesx.mirror.selection import Verdict, select
from dtesx.model.specs import MirrorSpec
from dtesx.replication.sending import job_options


@pytest.mark.parametrize(
    ("mount_point", "path", "name"),
    [
        ("/", "/etc", b"etc"),
        ("/var", "/var/cache/", b"cache"),
        ("/srv/data", "/srv", b"anything"),
        ("/..odd", "/..odd/..x", b"..x"),
        ("/srv", "/srv/a*", b"a*"),
    ],
)
def test_what_a_job_excludes_is_left_alone(mount_point: str, path: str, name: bytes) -> None:
    scope = select(job_options(MirrorSpec(exclude=(path,))).rules, mount_point)
    assert scope is not None
    assert scope.choose(name).file is Verdict.EXCLUDED
    assert mount_point == "/srv/data" or scope.choose(b"ab").file is Verdict.TAKEN


def test_what_lies_elsewhere_does_not_matter() -> None:
    assert select(job_options(MirrorSpec(exclude=("/variable", "/srv/x"))).rules, "/var") is None
