"""After a crash of the target's machine, what was not committed is sent again; real views of mounts."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dtesx.apply import durable
from dtesx.base.errors import TargetFull
from dtesx.base.run import run
from dtesx.model.request import MirrorRequest
from dtesx.replication import durability
from dtesx.replication.control import MirrorControl
from dtesx.replication.sending import run_mirror

if TYPE_CHECKING:
    from .conftest import Site

pytestmark = pytest.mark.integration


@pytest.fixture
def target_fd(site: Site) -> Iterator[int]:
    fd = os.open(site.target, os.O_RDONLY)
    yield fd
    os.close(fd)


def _lose_content(path: Path) -> None:
    """What delayed allocation leaves after a power cut: size and times right, content gone."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_files_of_an_uncommitted_mirror_are_doubted_after_a_reboot(site: Site, target_fd: int) -> None:
    (site.source / "file").write_bytes(b"content")
    site.mirror()
    assert os.listxattr(target_fd) == []

    durable.set_mark(target_fd, boot="an-earlier-boot")
    _lose_content(site.target / "file")
    stats = site.mirror()
    assert stats.files_sent == 1
    assert (site.target / "file").read_bytes() == b"content"
    assert os.listxattr(target_fd) == []
    assert site.mirror().files_sent == 0


def test_files_of_before_are_not_doubted(site: Site, target_fd: int) -> None:
    (site.source / "file").write_bytes(b"content")
    site.mirror()
    later = (site.target / "file").stat().st_ctime_ns + 5_000_000_000
    durable.set_mark(target_fd, boot="an-earlier-boot", now_ns=later)
    assert site.mirror().files_sent == 0


def test_a_killed_process_alone_is_no_reason_for_doubt(site: Site, target_fd: int) -> None:
    (site.source / "file").write_bytes(b"content")
    site.mirror()
    durable.set_mark(target_fd, now_ns=0)
    assert durable.doubt_from(target_fd) is None
    assert site.mirror().files_sent == 0


def test_what_the_kernel_could_not_write_is_doubted(
    site: Site, target_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.source / "file").write_bytes(b"content")

    def failing(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(durability, "sync_file_system", failing)
        with pytest.raises(TargetFull, match="could not write"):
            site.mirror()
    _lose_content(site.target / "file")
    assert site.mirror().files_sent == 1
    assert (site.target / "file").read_bytes() == b"content"
    assert os.listxattr(target_fd) == []


def test_a_real_view_of_a_mount_without_what_is_mounted_below(site: Site, tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    run(["mkfs.ext4", "-q", str(image)])
    run(["mount", "-o", "loop", str(image), str(site.source)])
    try:
        (site.source / "below").mkdir()
        (site.source / "below" / "covered").write_bytes(b"still there")
        os.setxattr(site.source / "below" / "covered", "user.x", b"1")
        run(["mount", "-t", "tmpfs", "none", str(site.source / "below")])
        (site.source / "below" / "foreign").touch()
        root = str(site.source)
        with site.receiver({root: site.target}):
            request = MirrorRequest("job", "127.0.0.1", site.port, site.them.certificate, (root,))
            stats = run_mirror(request, site.us, progress=lambda *_: None, control=MirrorControl())
        assert stats.problems == ()
        assert sorted(p.name for p in site.target.rglob("*")) == ["below", "covered"]
        assert os.getxattr(site.target / "below" / "covered", "user.x") == b"1"
        run(["umount", str(site.source / "below")])
        assert site.differences("--exclude=/lost+found") == ""
    finally:
        run(["umount", "-R", str(site.source)])
