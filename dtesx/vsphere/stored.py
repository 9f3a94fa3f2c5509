"""Virtual disks on datastores, apart from the VMs that have them: what is there, and moving it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from dtesx.model.vmware import StoredDisk
from dtesx.vsphere import machines
from dtesx.vsphere.collector import Row, properties, rows_under
from dtesx.vsphere.session import Session
from dtesx.vsphere.tasks import Progress, run_task, unseen

_PATH = re.compile(r"\[(?P<store>[^\]]+)\] (?:(?P<directory>.*)/)?(?P<name>[^/]+)\.vmdk")
_DELTA = r"-\d{6}"


@dataclass(frozen=True)
class _Held:
    """A disk file with the VM that has it."""

    machine: str
    path: str
    uuid: str


def stored(
    session: Session, paths: Iterable[str], stores: Sequence[Row], datacenter: Any
) -> tuple[StoredDisk, ...]:
    """Those of the disks that are on the datastores, as they are now."""
    wanted = tuple(dict.fromkeys(paths))
    held = tuple(_held(session)) if wanted else ()
    found = (_stored(session, path, stores, datacenter, held) for path in wanted)
    return tuple(disk for disk in found if disk is not None)


def move(session: Session, datacenter: Any, source: str, target: str, on_progress: Progress = unseen) -> None:
    """Move a disk with all of its files; the directory of ``target`` is made where it is missing."""
    directory = target.rpartition("/")[0]
    if directory:
        make_directory(session, datacenter, directory)
    manager = session.content.virtualDiskManager
    run_task(
        session,
        lambda: manager.MoveVirtualDisk_Task(source, datacenter, target, datacenter, False),
        on_progress=on_progress,
        heavy=True,
    )


def make_directory(session: Session, datacenter: Any, path: str) -> None:
    """Make a directory on a datastore; fine when it is there."""
    manager = session.content.fileManager
    try:
        session.change(lambda: manager.MakeDirectory(path, datacenter, True))
    except vim.fault.FileAlreadyExists:
        return


def _stored(
    session: Session, path: str, stores: Sequence[Row], datacenter: Any, held: Sequence[_Held]
) -> StoredDisk | None:
    parts = _PATH.fullmatch(path)
    store = next((row for row in stores if parts is not None and row.name == parts["store"]), None)
    if parts is None or store is None:
        return None
    sizes = _sizes(session, store, f"[{parts['store']}] {parts['directory'] or ''}".rstrip())
    size = sizes.get(f"{parts['name']}.vmdk")
    if size is None:
        return None
    uuid = _uuid(session, path, datacenter)
    delta = re.compile(re.escape(parts["name"]) + _DELTA + r"\.vmdk")
    own = [parts["name"]] if re.search(f"{_DELTA}$", parts["name"]) else []
    return StoredDisk(
        path,
        size,
        holders=tuple(item.machine for item in held if item.path == path),
        twins=tuple(item.machine for item in held if item.path != path and uuid and item.uuid == uuid),
        deltas=(*own, *(name for name in sizes if delta.fullmatch(name))),
    )


def _sizes(session: Session, store: Row, directory: str) -> dict[str, int]:
    """The disks in a directory by name, in bytes; none where there is no such directory."""
    browser = properties(session, store.managed, ("browser",))["browser"]
    details = vim.host.DatastoreBrowser.VmDiskQuery.Details(
        capacityKb=True, diskType=False, hardwareVersion=False
    )
    spec = vim.host.DatastoreBrowser.SearchSpec(
        query=[vim.host.DatastoreBrowser.VmDiskQuery(details=details)],
        details=vim.host.DatastoreBrowser.FileInfo.Details(
            fileType=True, fileSize=False, modification=False, fileOwner=False
        ),
        matchPattern=["*.vmdk"],
    )
    try:
        answer = run_task(session, lambda: browser.SearchDatastore_Task(directory, spec))
    except vim.fault.FileNotFound:
        return {}
    return {item.path: int(getattr(item, "capacityKb", 0) or 0) * 1024 for item in answer.file}


def _uuid(session: Session, path: str, datacenter: Any) -> str:
    manager = session.content.virtualDiskManager
    return _digits(session.read(lambda: manager.QueryVirtualDiskUuid(path, datacenter)) or "")


def _digits(uuid: str) -> str:
    """A UUID without what differs between the places where vSphere tells it."""
    return re.sub(r"[^0-9a-f]", "", uuid.lower())


def _held(session: Session) -> Iterator[_Held]:
    """Every disk file that a VM has, those beneath snapshots included."""
    root = session.content.rootFolder
    for row in rows_under(session, root, vim.VirtualMachine, ("name", machines.DEVICES)):
        for disk in machines.disks(row.values.get(machines.DEVICES, ())):
            for path in (disk.path, *disk.below):
                yield _Held(row.name, path, _digits(disk.uuid))
