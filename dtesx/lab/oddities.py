"""Files that copies get wrong: odd names, links, holes, devices, extended attributes, rights.

They are part of the lab's source, below /srv and /home, so that every demo and every drill carries
them through the whole road.
"""

from __future__ import annotations

import os
import random
import socket
import stat
from pathlib import Path

_OLD = 951_782_400_123_456_789  # a leap day, with nanoseconds
_SPARSE_BYTES = 512 << 20
_DEPTH = 40


def make_oddities(root: Path, users: tuple[str, ...]) -> None:
    """Write all of them into the tree mounted at ``root``; ``users`` exist with homes and uids there."""
    base = root / "srv" / "odd"
    base.mkdir(parents=True)
    _names(base / "names")
    _links(base / "links")
    _holes(base / "holes")
    _specials(base / "specials")
    _attributes(base / "attributes")
    _deep(base / "deep")
    _bulk(base / "bulk")
    for number, user in enumerate(users):
        _home(root / "home" / user, number)


def _names(where: Path) -> None:
    where.mkdir()
    for name in (
        "žluťoučký kůň.txt",
        "日本語.txt",
        "emoji 🦊.txt",
        "new\nline",
        "tab\tand 'quotes\" and \\ back",
        "-rf",
        "*?[x]",
        " leading and trailing ",
        "x" * 255,
    ):
        (where / name).write_text(f"content of {name!r}\n")
    for raw in (b"latin1-\xe9\xe8.txt", b"broken-\xff\xfe\x80"):
        (where / os.fsdecode(raw)).write_text("named by bytes\n")
    (where / os.fsdecode(b"dir-\xc3\x28")).mkdir()


def _links(where: Path) -> None:
    where.mkdir()
    (where / "one").write_text("three names, one file\n")
    os.link(where / "one", where / "two")
    (where / "sub").mkdir()
    os.link(where / "one", where / "sub" / "three")
    (where / "relative").symlink_to("one")
    (where / "absolute").symlink_to("/etc/hostname")
    (where / "dangling").symlink_to("/no/such/thing")
    (where / "outside").symlink_to("../../../../../../../../etc/passwd")
    (where / "loop").symlink_to("loop")
    (where / "bytes").symlink_to(os.fsdecode(b"target-\xff"))
    os.lchown(where / "dangling", 1234, 4321)
    os.utime(where / "dangling", ns=(_OLD, _OLD), follow_symlinks=False)


def _holes(where: Path) -> None:
    where.mkdir()
    with (where / "sparse.img").open("wb") as file:
        for offset in (0, 7 << 20, 100 << 20):
            file.seek(offset)
            file.write(b"data at %d" % offset)
        file.truncate(_SPARSE_BYTES)
    with (where / "only-hole").open("wb") as file:
        file.truncate(3 << 20)
    (where / "empty").touch()


def _specials(where: Path) -> None:
    where.mkdir()
    os.mkfifo(where / "fifo", 0o640)
    os.mknod(where / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(where / "disk", 0o660 | stat.S_IFBLK, os.makedev(8, 0))
    directory = os.open(where, os.O_RDONLY)
    try:  # by a short path: a socket's address holds 108 bytes
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(f"/proc/self/fd/{directory}/socket")
    finally:
        os.close(directory)
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("none", 0o000)):
        (where / name).write_text("#!/bin/sh\nid\n")
        (where / name).chmod(mode)
    (where / "sticky").mkdir()
    (where / "sticky").chmod(0o1777)
    (where / "inherits-group").mkdir()
    (where / "inherits-group").chmod(0o2775)
    (where / "strange-owner").write_text("owned by ids without names\n")
    os.chown(where / "strange-owner", 54321, 65000)
    os.utime(where / "strange-owner", ns=(_OLD, _OLD))


def _attributes(where: Path) -> None:
    where.mkdir()
    (where / "xattr").write_text("with attributes\n")
    os.setxattr(where / "xattr", "user.colour", b"blue")
    os.setxattr(where / "xattr", "user.binary", bytes(range(256)))
    os.setxattr(where / "xattr", "trusted.note", b"for root only")
    (where / "directory").mkdir()
    os.setxattr(where / "directory", "user.kind", b"directory")


def _deep(where: Path) -> None:
    path = where
    for level in range(_DEPTH):
        path = path / f"level-{level:02d}"
    path.mkdir(parents=True)
    (path / "bottom").write_text(f"{_DEPTH} levels down\n")


def _bulk(where: Path) -> None:
    where.mkdir()
    numbers = random.Random(2)
    (where / "random.bin").write_bytes(numbers.randbytes(8 << 20))
    for group in range(10):
        directory = where / f"group-{group}"
        directory.mkdir()
        for index in range(50):
            (directory / f"file-{index:03d}").write_bytes(numbers.randbytes(numbers.randrange(4096)))


def _home(home: Path, number: int) -> None:
    owner = os.stat(home)
    (home / "notes.txt").write_text(f"notes of {home.name}\n" * (number + 1))
    (home / ".profile-local").write_text("export EDITOR=vi\n")
    (home / "Projects" / "engine").mkdir(parents=True)
    (home / "Projects" / "engine" / "cards.csv").write_text("n,value\n1,1\n2,3\n3,6\n")
    for path in (home / "notes.txt", home / ".profile-local", *(home / "Projects").rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    os.chown(home / "Projects", owner.st_uid, owner.st_gid)
    (home / "notes.txt").chmod(0o600)
