"""Copies that are kept only from what is told, while files are written to in every way there is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dtesx.capture.changes import Changes, FileId
from dtesx.capture.ranges import END, PAGE
from dtesx.capture.settling import write_back
from dtesx.model.spans import Spans, merge

from .conftest import NAME, Watch, Watched, opened

pytestmark = pytest.mark.integration

_SIZE = 8 << 20
_LARGE = 24 << 20
_SECONDS = "1.5"
_HAMMER = r"""
import mmap, os, random, sys, time
path, how, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
SIZE = 8 << 20
fd = os.open(path, os.O_RDWR | (os.O_DIRECT if how == "direct" else 0))
mapped = mmap.mmap(fd, SIZE) if how in ("store", "mixed", "killed") else None
page = mmap.mmap(-1, 4096)
end = time.monotonic() + seconds
count = 0
while time.monotonic() < end:
    for _ in range(50):
        count += 1
        at = random.randrange(SIZE - 4096)
        stamp = b"%016d" % count
        if how in ("store", "killed") or how == "mixed" and count & 1:
            mapped[at : at + 16] = stamp
        elif how == "remapped" and not count % 5:
            # Unmapped again at once: of these pages some are dirty because of writes before, some not.
            with mmap.mmap(fd, SIZE) as briefly:
                for _ in range(3):
                    at = random.choice((at, random.randrange(SIZE - 16)))
                    briefly[at : at + 16] = stamp
        elif how == "direct":
            page[:16] = stamp
            os.pwritev(fd, [page], at & ~4095)
        elif how == "append" and not count % 7:
            os.ftruncate(fd, random.randrange(SIZE))
        elif how == "append":
            os.lseek(fd, 0, os.SEEK_END)
            os.write(fd, stamp * random.randrange(1, 100))
        else:
            os.pwrite(fd, stamp, at)
print(count)
"""


_FIO = ["fio", "--name=hammer", "--rw=randwrite", "--bs=4k", "--size=8m", "--iodepth=16", "--overwrite=1"]
_FIO += [
    "--fallocate=none",
    "--refill_buffers",
    "--time_based",
    f"--runtime={_SECONDS}",
    "--output=/dev/null",
]
_ONCE = ["fio", "--name=once", "--rw=randrw", "--bs=4k", "--size=24m", "--iodepth=16", "--overwrite=1"]
_ONCE += ["--ioengine=libaio", "--direct=1", "--fallocate=none", "--refill_buffers", "--output=/dev/null"]
_WAYS = ("write", "store", "mixed", "remapped", "direct", "append", "killed")
_ENGINES = {f"{engine}-{direct}": (engine, direct) for engine in ("libaio", "io_uring") for direct in (0, 1)}
_NAMES = (*_WAYS, *_ENGINES)


def _hammers(disk: Path) -> dict[str, subprocess.Popen[bytes]]:
    """Processes that write, by the names of their files."""
    found = {}
    for way in _WAYS:
        seconds = "600" if way == "killed" else _SECONDS
        argv = [sys.executable, "-c", _HAMMER, str(disk / way), way, seconds]
        found[way] = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    for name, (engine, direct) in _ENGINES.items():
        argv = [*_FIO, f"--ioengine={engine}", f"--direct={direct}", f"--filename={disk / name}"]
        found[name] = subprocess.Popen(argv)
    return found


class _Copies:
    """Copies of watched files, brought up to date by what is told of them."""

    def __init__(self, watched: Watched) -> None:
        self.losses = 0
        self._watched = watched
        self._copies = {name: bytearray(_SIZE) for name in _NAMES}
        with opened(watched.path) as fd:
            self._names = {watched.capture.identify(NAME, fd, os.fsencode(n)): n for n in self._copies}

    def update(self) -> None:
        """Read what may have changed."""
        changes = self._watched.drain()
        wanted = {self._names[file]: spans for file, spans in changes.ranges.items()}
        if changes.lost:
            self.losses += 1
            wanted = dict.fromkeys(_NAMES, ((0, END),))
        silent = {self._names[file]: spans for file, spans in changes.silent.items()}
        for name in changes.names.get(b"", ()):
            wanted.setdefault(os.fsdecode(name), ())
        for name in changes.written.get(b"", ()):
            wanted[os.fsdecode(name)] = ((0, END),)
        for changed, spans in wanted.items():
            self._read(changed, spans, silent.get(changed, ()) if spans != ((0, END),) else spans)

    def _read(self, name: str, spans: Spans, silent: Spans) -> None:
        fd = os.open(self._watched.path / name, os.O_RDONLY)
        try:
            write_back(fd, silent)
            size = os.fstat(fd).st_size
            copy = self._copies[name]
            del copy[size:]
            copy.extend(bytes(size - len(copy)))
            for start, end in spans:
                if start < size:
                    data = os.pread(fd, min(end, size) - start, start)
                    copy[start : start + len(data)] = data
        finally:
            os.close(fd)

    def differing(self) -> list[str]:
        """The names of files that are not as their copies."""
        return [
            name for name, copy in self._copies.items() if copy != (self._watched.path / name).read_bytes()
        ]


@pytest.mark.parametrize("ranges", [True, False], ids=["A", "B"])
def test_copies_kept_from_what_is_told_end_equal(disk: Path, watch: Watch, ranges: bool) -> None:
    for name in _NAMES:
        (disk / name).write_bytes(bytes(_SIZE))
    copies = _Copies(watch(disk, ranges=ranges))
    hammers = _hammers(disk)
    killed = hammers.pop("killed")
    try:
        while any(hammer.poll() is None for hammer in hammers.values()):
            copies.update()
    finally:
        killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert {name: hammer.wait() for name, hammer in hammers.items()} == dict.fromkeys(hammers, 0)
    copies.update()
    assert copies.differing() == []
    assert not copies.losses


def test_direct_io_is_told_whatever_its_end_interrupts(disk: Path, watch: Watch) -> None:
    """A processor may be busy with the end of another request, or with a process that is ignored."""
    files = [disk / f"{number}" for number in range(4)]
    for file in files:
        file.write_bytes(bytes(_LARGE))
    spin = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    watched = watch(disk, ranges=True, ignored=[process.pid for process in spin])
    told: dict[FileId, Spans] = {}
    try:
        fio = [subprocess.Popen([*_ONCE, f"--filename={file}"]) for file in files]
        while any(process.poll() is None for process in fio):
            _add(watched.drain(), told)
    finally:
        for process in spin:
            process.kill()
            process.wait()
    assert [process.wait() for process in fio] == [0] * len(fio)
    _add(watched.drain(), told)
    with opened(disk) as fd:
        for file in files:
            identity = watched.capture.identify(NAME, fd, os.fsencode(file.name))
            assert identity is not None
            content, missing = file.read_bytes(), []
            for at in range(0, _LARGE, PAGE):
                if any(content[at : at + PAGE]) and not any(s <= at < e for s, e in told.get(identity, ())):
                    missing.append(at)
            assert not missing, file


def _add(changes: Changes, told: dict[FileId, Spans]) -> None:
    assert not changes.lost
    for file, spans in changes.ranges.items():
        told[file] = merge((*told.get(file, ()), *spans))
