"""A verification against a real receiver: what it finds, and that it changes nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dtesx.base.errors import Interrupted
from dtesx.model.mirror import Compare, MirrorOptions
from dtesx.model.request import MirrorRequest
from dtesx.model.verify import Aspect, FileState, Finding, VerifyStats
from dtesx.replication.verifying import run_verify
from tests.integration.replication.conftest import Site


def verify(
    site: Site, stop: threading.Event | None = None, options: MirrorOptions | None = None
) -> tuple[list[Finding], VerifyStats]:
    found: list[Finding] = []
    request = MirrorRequest("job", "127.0.0.1", site.port, site.them.certificate, ("/data",))
    stats = run_verify(
        request,
        site.us,
        report=found.append,
        progress=lambda _stats: None,
        stop=stop or threading.Event(),
        opener=site.view,
        options=options,
    )
    return found, stats


def test_what_was_mirrored_is_in_step(site: Site, rich: Path) -> None:
    site.mirror()
    found, stats = verify(site)
    assert found == []
    assert stats.in_step
    assert stats.names_total > 80


def test_whatever_differs_is_found_and_left_alone(site: Site, rich: Path) -> None:
    site.mirror()
    os.setxattr(site.target / "xattrs", "user.a", b"other")
    (site.target / "dangling").unlink()
    (site.target / "dangling").symlink_to("elsewhere")
    os.utime(site.target / "2001", ns=(1, 1))
    os.chown(site.target / "empty-dir", 5, 5)
    (site.target / "z-link").unlink()
    (site.target / "fifo").unlink()
    os.mkdir(site.target / "only-here")
    (site.target / "only-here" / "file").write_bytes(b"123")
    before = site.differences()
    found, stats = verify(site)
    by_path = {finding.path: finding for finding in found}
    assert [d.aspect for d in by_path["xattrs"].differences] == [Aspect.ATTRIBUTES]
    assert Aspect.LINK_TEXT in [d.aspect for d in by_path["dangling"].differences]
    assert [d.aspect for d in by_path["2001"].differences] == [Aspect.MODIFIED]
    assert [d.aspect for d in by_path["empty-dir"].differences] == [Aspect.OWNER]
    assert by_path["z-link"].state is by_path["fifo"].state is FileState.MISSING
    assert by_path["only-here/file"].state is FileState.ORPHAN
    assert stats.orphan_bytes == 3
    assert site.differences() == before


def test_stop(site: Site, rich: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        verify(site, stop)


def test_data_that_attributes_do_not_tell_of(site: Site) -> None:
    small, large = b"small", os.urandom(3 << 20)
    (site.source / "small").write_bytes(small)
    (site.source / "large").write_bytes(large)
    (site.source / "same").write_bytes(large)
    site.mirror()
    for name, content in (("small", b"SMALL"), ("large", b"x" + large[1:])):
        kept = os.stat(site.target / name)
        (site.target / name).write_bytes(content)
        os.utime(site.target / name, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert verify(site)[1].in_step
    found, stats = verify(site, options=MirrorOptions(Compare.DATA))
    assert sorted((finding.path, finding.bytes_different) for finding in found) == [
        ("large", 64 << 10),
        ("small", 5),
    ]
    assert {d.aspect for finding in found for d in finding.differences} == {Aspect.DATA}
    assert stats.bytes_compared == 5 + (6 << 20)
    assert stats.bytes_different == 5 + (64 << 10)


def test_a_large_file_whose_copy_is_empty_differs_altogether(site: Site) -> None:
    (site.source / "large").write_bytes(bytes(range(256)) * 4096)
    site.mirror()
    os.truncate(site.target / "large", 0)
    found, _stats = verify(site, options=MirrorOptions(Compare.DATA))
    assert [finding.bytes_different for finding in found] == [1 << 20]
