"""What the tests of volumes do in the guest: ``python3 -m tests.vm.holding WHAT LAYOUT WHERE UUIDS``."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from ssl import SSLContext

import msgspec

from dtesx.base.run import run
from dtesx.model.layout import Layout
from dtesx.model.request import MirrorRequest
from dtesx.replication.binding import Binding
from dtesx.replication.control import MirrorControl
from dtesx.replication.receiving import serve
from dtesx.replication.sending import run_mirror
from dtesx.replication.tasks import Tasks
from dtesx.volumes.disks import find_disk
from dtesx.volumes.mapping import mapped_over
from dtesx.volumes.mounts import mounted_layout, mounts_below, release
from dtesx.volumes.prepare import prepare_disks
from dtesx.volumes.views import open_view
from dtesx.wire.identity import Identity, create, load_or_create
from dtesx.wire.tls import server_context

_PORT = 1500
_CHANGES = ("create", "remove")
LAST = Path("/run/last-change")
"""Has the change after which a process was killed."""


class Replica:
    """A layout on the guest's disks."""

    def __init__(self, layout: str, where: str, uuids: str) -> None:
        self.layout = msgspec.json.decode(layout.encode(), type=Layout)
        self.where = Path(where)
        self.devices = [find_disk(uuid) for uuid in uuids.split(",")]

    def prepare(self) -> None:
        """Make everything."""
        prepare_disks(self.layout, self.devices)

    def clear(self) -> None:
        """Take down what is there."""
        release(self.where, self.devices)

    def hold(self) -> None:
        """Mount the tree and unmount it."""
        with mounted_layout(self.layout, self.devices, self.where, nested=True) as mounted:
            (mounted["/"] / "there").touch()

    def is_free(self) -> bool:
        """Whether nothing uses the disks."""
        return not mounts_below(self.where) and not mapped_over(self.devices)


def fill(replica: Replica) -> None:
    """Write a file to each file system; print what each is."""
    seen = {}
    with mounted_layout(replica.layout, replica.devices, replica.where, nested=False) as mounted:
        for place, directory in mounted.items():
            (directory / "kept").write_text(place)
            told = ["findmnt", "-no", "FSTYPE", str(directory)]
            seen[place] = subprocess.run(told, capture_output=True, check=True, text=True).stdout.strip()
    print(json.dumps(seen))


def read(replica: Replica) -> None:
    """Print the places whose file is there in the whole tree."""
    with mounted_layout(replica.layout, replica.devices, replica.where, nested=True) as mounted:
        print(
            json.dumps(sorted(place for place, at in mounted.items() if (at / "kept").read_text() == place))
        )


def beside(replica: Replica, *other: str) -> None:
    """Hold two replicas at once."""
    second = Replica(*other)
    with (
        mounted_layout(replica.layout, replica.devices, replica.where, nested=True) as mine,
        mounted_layout(second.layout, second.devices, second.where, nested=True) as theirs,
    ):
        (mine["/"] / "mine").touch()
        assert not (theirs["/"] / "mine").exists()


def esp(replica: Replica) -> None:
    """Mirror an EFI system partition twice; print what each sent, and whether the replica is the same."""
    source = _another_esp(Path("/run/esp"))
    work = replica.where / "job"
    work.mkdir(parents=True)
    us, them = create("source"), load_or_create(work / "identity", "appliance")
    (fs,) = replica.layout.file_systems()
    request = MirrorRequest("job-1", "127.0.0.1", _PORT, them.certificate, (fs.mount_point,))
    tree = replica.where / "tree"
    with mounted_layout(replica.layout, replica.devices, tree, nested=False) as mounted:
        with _serving(mounted, server_context(them, [us.certificate]), work):
            sent = [_mirrored(request, us, source) for _ in range(2)]
        (directory,) = mounted.values()
        seen = _look(source)
        print(json.dumps({"sent": sent, "same": seen == _look(directory), "seen": len(seen)}))
    run(["umount", str(source)])


@contextmanager
def _serving(roots: Mapping[str, Path], context: SSLContext, work: Path) -> Iterator[None]:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", _PORT)) as listener:
        binding, tasks = Binding(work / "roots.json"), Tasks(work / "epochs", {}, "")
        given = {"binding": binding, "status": lambda *_: None, "stop": stop, "tasks": tasks}
        thread = threading.Thread(target=serve, args=(listener, context, roots), kwargs=given)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _mirrored(request: MirrorRequest, identity: Identity, source: Path) -> int:
    def opener(_root: str) -> AbstractContextManager[int]:
        return open_view(str(source))

    stats = run_mirror(request, identity, progress=lambda *_: None, control=MirrorControl(), opener=opener)
    assert not stats.problems, stats.problems
    return stats.files_sent


def _another_esp(where: Path) -> Path:
    image = where.with_suffix(".img")
    with image.open("wb") as out:
        out.truncate(66 << 20)
    run(["mkfs.vfat", "-F", "32", str(image)])
    where.mkdir()
    run(["mount", "-o", "loop,fmask=0077,dmask=0077", str(image), str(where)])
    for name in ("EFI/BOOT/BOOTX64.EFI", "EFI/debian/shimx64.efi", "EFI/debian/a longer name, really.cfg"):
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_bytes(name.encode() * 10_000)
    return where


def _look(root: Path) -> list[tuple[object, ...]]:
    """What of each file a restored machine sees."""
    paths = (path for path in sorted(root.rglob("*")) if not path.name.startswith(".dtesx"))
    return [(str(path.relative_to(root)), *_state(path)) for path in paths]


def _state(path: Path) -> tuple[object, ...]:
    status = path.stat()
    content = path.read_bytes() if path.is_file() else b""
    return status.st_mode, status.st_uid, status.st_mtime_ns, content


def die(replica: Replica) -> None:
    """Be killed while the tree is mounted."""
    with mounted_layout(replica.layout, replica.devices, replica.where, nested=True):
        os.kill(os.getpid(), signal.SIGKILL)


def crash(replica: Replica) -> None:
    """Kill a process after each change of device-mapper's; the next one must get along with that.

    Prints these changes.
    """
    changes: list[str] = []
    while _killed_after(len(changes) + 1, replica.hold):
        changes.append(LAST.read_text())
        replica.hold()
        assert replica.is_free(), changes
    print(json.dumps(changes))


def _killed_after(step: int, action: Callable[[], None]) -> bool:
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    try:
        subprocess.run = partial(_counted, subprocess.run, step, [0])  # type: ignore[assignment]
        action()
    finally:
        os._exit(0)


def _counted(
    real: Callable[..., object], step: int, done: list[int], argv: list[str], **rest: object
) -> object:
    ended = real(argv, **rest)
    if argv[0] == "dmsetup" and argv[1] in _CHANGES:
        done[0] += 1
        if done[0] == step:
            LAST.write_text(argv[1])
            os.kill(os.getpid(), signal.SIGKILL)
    return ended


_ALONE = {"prepare": Replica.prepare, "clear": Replica.clear, "hold": Replica.hold}
_MORE: dict[str, Callable[..., None]] = {
    "fill": fill,
    "read": read,
    "beside": beside,
    "crash": crash,
    "die": die,
    "esp": esp,
}

if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what in _ALONE:
        _ALONE[what](Replica(*rest))
    else:
        _MORE[what](Replica(*rest[:3]), *rest[3:])
