"""A source tree, a target tree and a receiver between them, on the loopback interface."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dtesx import batch
from dtesx.base.retry import Backoff
from dtesx.base.run import run, spawn
from dtesx.model.mirror import LinkOptions, MirrorOptions
from dtesx.model.request import MirrorPhase, MirrorRequest
from dtesx.model.specs import MirrorSpec
from dtesx.model.stats import MirrorStats
from dtesx.model.target import TargetOptions, WorkerPhase
from dtesx.replication.binding import Binding
from dtesx.replication.control import MirrorControl
from dtesx.replication.orders import Orders
from dtesx.replication.pausing import Gate
from dtesx.replication.receiving import DEFAULTS, serve
from dtesx.replication.sending import DEFAULT_LINK, run_mirror
from dtesx.replication.tasks import Tasks
from dtesx.wire.identity import Identity, create
from dtesx.wire.tls import server_context

QUICK = Backoff(first=0.05, cap=0.2, tries=5)


_RECEIVER = """
import socket, sys, threading
from pathlib import Path
from dtesx.replication.binding import Binding
from dtesx.replication.receiving import serve
from dtesx.replication.tasks import Tasks
from dtesx.wire.identity import Identity
from dtesx.wire.tls import server_context
fd, target, own, key, trusted = sys.argv[1:]
serve(
    socket.socket(fileno=int(fd)),
    server_context(Identity(own, key), [trusted]),
    {"/data": Path(target)},
    binding=Binding(Path(target).parent / "roots.json"),
    status=lambda phase, stats, message: None,
    stop=threading.Event(),
    tasks=Tasks(Path(target).parent / "epochs"),
)
"""


@dataclass
class Site:
    """One replication root, ``/data``: ``source`` is mirrored to ``target``."""

    source: Path
    target: Path
    us: Identity
    them: Identity
    port: int = 0
    reports: list[tuple[WorkerPhase, MirrorStats, str]] = field(default_factory=list)
    progress: list[tuple[MirrorPhase, MirrorStats]] = field(default_factory=list)
    catalogues: Path | None = None

    @contextmanager
    def view(self, _mount_point: str) -> Iterator[int]:
        fd = os.open(self.source, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    def mirror(
        self,
        *,
        port: int = 0,
        exclude: tuple[str, ...] = (),
        control: MirrorControl | None = None,
        backoff: Backoff = QUICK,
        on_progress: Callable[[MirrorPhase, MirrorStats], None] = lambda _phase, _stats: None,
        identity: Identity | None = None,
        root: str = "/data",
        options: MirrorOptions | None = None,
        link: LinkOptions = DEFAULT_LINK,
        roots: tuple[str, ...] = (),
        rebind: bool = False,
    ) -> MirrorStats:
        spec = MirrorSpec(exclude=exclude)
        port = port or self.port
        request = MirrorRequest(
            "job", "127.0.0.1", port, self.them.certificate, roots or (root,), spec, rebind=rebind
        )

        def progress(phase: MirrorPhase, stats: MirrorStats) -> None:
            self.progress.append((phase, stats))
            on_progress(phase, stats)

        return run_mirror(
            request,
            identity or self.us,
            progress=progress,
            control=control or MirrorControl(),
            opener=self.view,
            backoff=backoff,
            link=link,
            catalogue=self.catalogues and self.catalogues / "source",
            options=options,
        )

    @contextmanager
    def receiver(
        self,
        roots: Mapping[str, Path] | None = None,
        *,
        gate: Gate | None = None,
        orders: Orders | None = None,
        port: int = 0,
        options: TargetOptions = DEFAULTS,
    ) -> Iterator[None]:
        listener = socket.create_server(("127.0.0.1", port))
        self.port = listener.getsockname()[1]
        stop = threading.Event()
        roots = roots or {"/data": self.target}
        thread = threading.Thread(
            target=serve,
            args=(listener, server_context(self.them, [self.us.certificate]), roots),
            kwargs={
                "binding": Binding(self.target.parent / "roots.json"),
                "status": lambda phase, stats, message: self.reports.append((phase, stats, message)),
                "stop": stop,
                "gate": gate,
                "orders": orders,
                "options": options,
                "tasks": Tasks(self.target.parent / "epochs"),
                "catalogue": self.catalogues and self.catalogues / "target",
            },
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)
            listener.close()
            assert not thread.is_alive()

    def spawn_receiver(self, listener: socket.socket) -> int:
        """Start a receiver as a process of its own; returns its pid."""
        self.port, fd = listener.getsockname()[1], listener.fileno()
        argv = (str(self.target), self.them.certificate, self.them.key, self.us.certificate)
        return spawn([sys.executable, "-c", _RECEIVER, str(fd), *argv], pass_fds=[fd]).pid

    def differences(self, *options: str) -> str:
        """What rsync would still do to make the target equal to the source."""
        # XFS shows ACLs a second time, by attributes that other file systems have not.
        argv = ["rsync", "-aHAXn", "--delete", "--itemize-changes", "--filter=-x trusted.SGI_ACL_*", *options]
        return run([*argv, f"{self.source}/", f"{self.target}/"]).text


@pytest.fixture(scope="session")
def identities() -> tuple[Identity, Identity]:
    return create("source"), create("target")


@pytest.fixture
def bare_site(tmp_path: Path, identities: tuple[Identity, Identity]) -> Iterator[Site]:
    """A site without a receiver."""
    site = Site(tmp_path / "source", tmp_path / "target", *identities)
    site.source.mkdir()
    site.target.mkdir()
    yield site
    run(["chattr", "-R", "-f", "-i", "-a", str(tmp_path)], ok=(0, 1))


@pytest.fixture
def site(bare_site: Site) -> Iterator[Site]:
    """A site whose receiver listens."""
    with bare_site.receiver():
        yield bare_site


def acl(*entries: tuple[int, int, int]) -> bytes:
    """A POSIX ACL as the kernel stores it: (tag, permissions, id) each; linux/posix_acl_xattr.h."""
    packed = b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, bits, who in entries
    )
    return b"\x02\x00\x00\x00" + packed


NOBODY = 0xFFFFFFFF
ACL = acl((1, 6, NOBODY), (2, 6, 1000), (4, 4, NOBODY), (16, 6, NOBODY), (32, 4, NOBODY))
DEFAULT_ACL = acl((1, 7, NOBODY), (2, 7, 1000), (4, 5, NOBODY), (16, 7, NOBODY), (32, 5, NOBODY))
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def _files(root: Path) -> None:
    (root / "empty").touch()
    (root / "small").write_bytes(b"hello\n")
    (root / "middle").write_bytes(os.urandom(300_000))
    (root / "large").write_bytes(os.urandom(3 << 20) + b"end")
    (root / "setuid").write_bytes(b"#!")
    os.chown(root / "setuid", 1000, 1001)
    (root / "setuid").chmod(0o6755)
    (root / "secret").write_bytes(b"x")
    (root / "secret").chmod(0)
    with (root / "sparse").open("wb") as file:
        file.seek(20 << 20)
        file.write(b"island")
        file.truncate(50 << 20)
    with (root / "hole").open("wb") as file:
        file.truncate(200_000)
    for number, name in enumerate(
        (b"\xff\xfe not utf-8", b"new\nline", b" spaces ", b"-n", b"n" * 255, "größe".encode())
    ):
        with open(os.fsencode(root) + b"/" + name, "wb") as file:
            file.write(b"%d" % number)
    for when, year in ((-315_619_200, "1960"), (4_102_444_800, "2100"), (1_000_000_000, "2001")):
        (root / year).touch()
        os.utime(root / year, ns=(when * 10**9 + 1, when * 10**9 + 123_456_789))


def _specials(root: Path) -> None:
    (root / "dangling").symlink_to("nowhere")
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "to-dir").symlink_to("sub")
    os.lchown(root / "dangling", 7, 8)
    os.utime(root / "dangling", ns=(5, 1_234_567_891_234_567_891), follow_symlinks=False)
    os.setxattr(root / "dangling", "trusted.note", b"on a link", follow_symlinks=False)
    os.mkfifo(root / "fifo", 0o640)
    os.setxattr(root / "fifo", "trusted.note", b"on a fifo")
    os.mknod(root / "null", 0o20666, os.makedev(1, 3))
    os.mknod(root / "disk", 0o60660, os.makedev(8, 300))
    os.chown(root / "disk", 0, 6)
    os.chmod(root / "null", 0o666)


def _attributes(root: Path) -> None:
    (root / "xattrs").write_bytes(b"x")
    for name, value in (
        ("user.a", b"1\0\xff"),
        ("user.empty", b""),
        ("trusted.t", b"t"),
        ("security.selinux", b"u:o\0"),
    ):
        os.setxattr(root / "xattrs", name, value)
    (root / "capable").write_bytes(b"x")
    os.chown(root / "capable", 3, 4)
    os.setxattr(root / "capable", "security.capability", CAPABILITY)
    (root / "acl").write_bytes(b"x")
    os.setxattr(root / "acl", "system.posix_acl_access", ACL)
    inherits = root / "inherits"
    inherits.mkdir()
    (inherits / "before").write_bytes(b"x")
    os.setxattr(inherits, "system.posix_acl_default", DEFAULT_ACL)
    (inherits / "after").write_bytes(b"x")
    (inherits / "plain").write_bytes(b"x")
    os.removexattr(inherits / "plain", "system.posix_acl_access")
    (inherits / "sub").mkdir()
    (inherits / "sub" / "large").write_bytes(bytes(400_000))
    group = root / "group"
    group.mkdir()
    os.chown(group, 0, 50)
    group.chmod(0o3775)
    (group / "mine").touch()
    os.chown(group / "mine", 0, 0)


def _links(root: Path) -> None:
    sub = root / "sub"
    sub.mkdir()
    (sub / "first").write_bytes(b"linked")
    os.link(sub / "first", root / "a-link")
    os.link(sub / "first", root / "z-link")
    os.link(root / "fifo", sub / "fifo-link")
    os.link(root / "dangling", sub / "dangling-link", follow_symlinks=False)
    deep = root
    for level in range(60):
        deep = deep / f"level-{level}"
        deep.mkdir()
    (deep / "bottom").write_bytes(b"deep")
    (root / "empty-dir").mkdir(mode=0o1777)
    os.utime(root / "empty-dir", ns=(1, 1_111_111_111_111_111_111))


@pytest.fixture
def rich(bare_site: Site) -> Path:
    """The site's source, filled with everything that a Linux file system can hold (sockets aside)."""
    root = bare_site.source
    _files(root)
    _specials(root)
    _attributes(root)
    _links(root)
    os.chown(root, 12, 13)
    root.chmod(0o751)
    os.utime(root, ns=(1, 1_222_222_222_222_222_222))
    return root


@pytest.fixture(params=["native", "pure"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extension for small files and without it."""
    if request.param == "pure":
        monkeypatch.setattr(batch, "native", None)
    elif batch.native is None:
        pytest.skip("the extension was not built")
