from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dtesx.base.errors import Conflict, DtesxError, NotFound
from dtesx.management.store import Store
from dtesx.model.inventory import Firmware
from dtesx.model.job import JobState, Operation, OperationKind, Problem, Step, StepState
from dtesx.model.layout import DiskLayout, Layout, Partition, PartitionRole
from dtesx.model.record import JobRecord
from dtesx.model.stats import MirrorStats, PathProblem
from dtesx.model.vmware import VirtualDisk
from tests.unit.management.fakes import SPEC, furnished

LAYOUT = Layout(
    Firmware.BIOS,
    (
        DiskLayout(
            0, 1 << 30, (Partition(1, PartitionRole.FILE_SYSTEM, 1 << 20, 1 << 29, "ext4", "u", "l", "/"),)
        ),
    ),
)
RECORD = JobRecord(
    "id-1",
    SPEC,
    JobState.PROTECTED,
    1.5,
    layout=LAYOUT,
    replica_ref="vm-3",
    disks=(VirtualDisk(2000, "[ds1] a/a.vmdk", "6000C29-1", 1 << 30, 0, 0),),
    mirror=MirrorStats(files_total=3, problems=(PathProblem("/x", "busy"),)),
    data_port=1500,
)


def operation(name: str, kind: OperationKind = OperationKind.PROTECT, job: str = "id-1") -> Operation:
    return Operation(
        name,
        job,
        kind,
        StepState.RUNNING,
        (Step("plan", "Plan", StepState.RUNNING, 1.0, detail="so far"),),
        1.0,
        problem=Problem("connection", "away", "wait"),
        params={"final_mirror": "yes"},
    )


def test_everything_survives_a_reopen_without_a_close(tmp_path: Path) -> None:
    store = furnished(tmp_path)
    store.begin(RECORD, operation("one"))
    # no close(): the process was killed
    again = Store(tmp_path)
    assert again.job("alpha") == RECORD
    assert again.last_operation("id-1") == operation("one")
    assert again.server("alpha").bearer == "bearer-secret"
    assert again.vmware("vc").password == "vc-secret"
    assert [o.id for o in again.open_operations()] == ["one"]


def test_a_crash_between_writes_leaves_whole_values(tmp_path: Path) -> None:
    store = furnished(tmp_path)
    store.begin(RECORD, operation("one"))
    with pytest.raises(Conflict):
        # the second half of the transaction fails, so the first half must not be there either
        store.begin(replace(RECORD, id="id-2"), operation("two", job="id-2"))
    assert [record.id for record in Store(tmp_path).jobs()] == ["id-1"]
    with pytest.raises(NotFound):
        store.operation("two")


def test_files_are_private_and_secrets_are_not_readable(tmp_path: Path) -> None:
    store = furnished(tmp_path)
    store.begin(RECORD, operation("one"))
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
        assert b"bearer-secret" not in path.read_bytes(), path
        assert b"vc-secret" not in path.read_bytes(), path
    assert "vc-secret" not in repr(store.vmware("vc"))
    assert "bearer-secret" not in repr(store.servers())


def test_a_lost_key_is_explained(tmp_path: Path) -> None:
    furnished(tmp_path).close()
    (tmp_path / "secret.key").unlink()
    with pytest.raises(DtesxError, match="cannot be decrypted") as caught:
        Store(tmp_path).server("alpha")
    assert "secret.key" in caught.value.hint


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.sqlite") as connection:
        connection.execute("UPDATE schema SET version = 999")
    with pytest.raises(DtesxError, match="schema version 999"):
        Store(tmp_path)


def test_a_damaged_store_is_explained(tmp_path: Path) -> None:
    Store(tmp_path).close()
    for path in tmp_path.glob("store.sqlite*"):
        path.unlink()
    (tmp_path / "store.sqlite").write_bytes(b"this is no database, but it is long enough" * 100)
    with pytest.raises(DtesxError, match="damaged"):
        Store(tmp_path)


def test_every_commit_is_synced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_names_are_taken_once(tmp_path: Path) -> None:
    store = furnished(tmp_path)
    store.save_job(RECORD)
    with pytest.raises(Conflict, match="job alpha"):
        store.save_job(replace(RECORD, id="id-2"))
    with pytest.raises(Conflict, match="server alpha"):
        store.add_server(store.server("alpha"))
    with pytest.raises(Conflict, match="VMware server vc"):
        store.add_vmware(store.vmware("vc"))


def test_what_a_job_uses_cannot_be_removed(tmp_path: Path) -> None:
    store = furnished(tmp_path)
    store.save_job(RECORD)
    with pytest.raises(Conflict, match="used by: alpha"):
        store.remove_server("alpha")
    with pytest.raises(Conflict, match="used by: alpha"):
        store.remove_vmware("vc")


def test_a_finished_deletion_takes_the_job_along(tmp_path: Path) -> None:
    store = furnished(tmp_path)
    store.begin(RECORD, operation("one"))
    deletion = operation("two", OperationKind.DELETE)
    store.begin(RECORD, deletion)
    store.save_operation(replace(deletion, state=StepState.FAILED))
    assert store.find_job("alpha") is not None
    store.save_operation(replace(deletion, state=StepState.DONE))
    assert store.find_job("alpha") is None
    assert store.operation("two").state is StepState.DONE
    with pytest.raises(NotFound):
        store.operation("one")
    store.remove_server("alpha")
    store.remove_vmware("vc")
    assert store.servers() == ()


@pytest.mark.parametrize(
    "missing", ["job", "server", "vmware", "operation", "remove_server", "remove_vmware"]
)
def test_what_is_not_there(tmp_path: Path, missing: str) -> None:
    with pytest.raises(NotFound) as caught:
        getattr(Store(tmp_path), missing)("nobody")
    assert "nobody" in caught.value.message
    assert caught.value.hint


def test_many_threads_write_at_once(tmp_path: Path) -> None:
    store = furnished(tmp_path)
    store.save_job(RECORD)
    errors: list[Exception] = []

    def write(number: int) -> None:
        try:
            for turn in range(10):
                store.save_operation(operation(f"{number}-{turn}"))
                store.job("alpha")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(store.open_operations()) == 40
