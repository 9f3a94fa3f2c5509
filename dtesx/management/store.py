"""The management service's store: what its methods return from is on disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, delete, event, select, update
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from dtesx.base.errors import Conflict, DtesxError, NotFound, TargetFull
from dtesx.base.files import private_directory
from dtesx.management.records import KnownVmware, PairedServer
from dtesx.management.tables import (
    SCHEMA_VERSION,
    Base,
    JobRow,
    OperationRow,
    SchemaRow,
    ServerRow,
    VmwareRow,
)
from dtesx.management.vault import Vault
from dtesx.model.job import Operation, OperationKind, StepState
from dtesx.model.record import JobRecord
from dtesx.model.replication import ReplicationSwitch

_FILE = "store.sqlite"
_BUSY_SECONDS = 30


class Store:
    """Servers, VMware servers, jobs and operations, in SQLite below ``directory``.

    Implements recovery's Journal. Safe for threads: writers take turns, readers see the last
    committed state. WAL with synchronous=FULL makes every commit survive a power cut
    (https://www.sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, directory: Path) -> None:
        private_directory(directory)
        self._vault = Vault(directory / "secret.key")
        self._path = directory / _FILE
        # The WAL and shared-memory files take their mode from the database file.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._engine = create_engine(
            f"sqlite:///{self._path}",
            connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS},
        )
        event.listen(self._engine, "connect", _configure)
        self._writing = threading.Lock()
        self._prepare()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    # --- jobs and operations

    def save_job(self, record: JobRecord) -> None:
        """Store a job; Conflict when another job has its name."""
        with self._write() as session:
            self._put_job(session, record)

    def save_operation(self, operation: Operation) -> None:
        """Store an operation with its steps. A deletion that is done takes its job along."""
        with self._write() as session:
            _put_operation(session, operation)
            if operation.kind is OperationKind.DELETE and operation.state is StepState.DONE:
                _remove_job(session, operation)

    def begin(self, record: JobRecord, operation: Operation) -> None:
        """Store a job and the operation it starts together, so that neither is there alone."""
        with self._write() as session:
            self._put_job(session, record)
            _put_operation(session, operation)

    def job(self, name: str) -> JobRecord:
        """The job of that name; NotFound when there is none."""
        found = self.find_job(name)
        if found is None:
            raise NotFound(f"there is no job {name}", hint="`dtesx job list` shows the jobs there are")
        return found

    def find_job(self, name: str) -> JobRecord | None:
        """The job of that name, or None."""
        with self._read() as session:
            row = session.scalar(select(JobRow).where(JobRow.name == name))
            return None if row is None else row.body

    def jobs(self) -> tuple[JobRecord, ...]:
        """All jobs by name."""
        with self._read() as session:
            return tuple(row.body for row in session.scalars(select(JobRow).order_by(JobRow.name)))

    def bandwidth(self, job: str) -> int | None:
        """The limit that users set for the job (by its id); None when they set none."""
        with self._read() as session:
            row = session.get(JobRow, job)
            return None if row is None else row.bandwidth

    def set_bandwidth(self, job: str, bandwidth: int | None) -> None:
        """Keep a limit for the job (by its id), or none."""
        with self._write() as session:
            session.execute(update(JobRow).where(JobRow.id == job).values(bandwidth=bandwidth))

    def replication(self, job: str) -> ReplicationSwitch:
        """What users want of the replication of the job (by its id)."""
        with self._read() as session:
            row = session.get(JobRow, job)
            kept = row.replication if row is not None else None
            return ReplicationSwitch.ON if kept is None else ReplicationSwitch(kept)

    def set_replication(self, job: str, switch: ReplicationSwitch) -> None:
        """Keep what users want of it."""
        with self._write() as session:
            session.execute(update(JobRow).where(JobRow.id == job).values(replication=switch.value))

    def operation(self, operation: str) -> Operation:
        """The operation with that id; NotFound when there is none."""
        with self._read() as session:
            row = session.scalar(select(OperationRow).where(OperationRow.id == operation))
            if row is None:
                raise NotFound(
                    f"there is no operation {operation}",
                    hint="`dtesx job show` names a job's last operation",
                )
            return row.body

    def last_operation(self, job: str) -> Operation | None:
        """The operation of the job (by its id) that was begun last."""
        with self._read() as session:
            row = session.scalar(_last_operation(job))
            return None if row is None else row.body

    def open_operations(self) -> tuple[Operation, ...]:
        """Operations that are pending or running; at service start: those that were cut off."""
        states = (StepState.PENDING.value, StepState.RUNNING.value)
        query = select(OperationRow).where(OperationRow.state.in_(states)).order_by(OperationRow.serial)
        with self._read() as session:
            return tuple(row.body for row in session.scalars(query))

    # --- sources

    def add_server(self, server: PairedServer) -> None:
        """Store a paired source; Conflict when the name is taken."""
        with self._write() as session:
            _free(session, ServerRow, server.info.name, "server")
            session.add(
                ServerRow(
                    name=server.info.name,
                    certificate=server.certificate,
                    secret=self._vault.lock(server.bearer),
                    body=server.info,
                )
            )

    def server(self, name: str) -> PairedServer:
        """The source of that name; NotFound when there is none."""
        with self._read() as session:
            row = session.get(ServerRow, name)
            if row is None:
                raise NotFound(
                    f"there is no server {name}",
                    hint="`dtesx server list` shows the servers there are; `dtesx server add` adds one",
                )
            return PairedServer(row.body, row.certificate, self._vault.open(row.secret))

    def servers(self) -> tuple[PairedServer, ...]:
        """All sources by name."""
        with self._read() as session:
            return tuple(
                PairedServer(row.body, row.certificate, self._vault.open(row.secret))
                for row in session.scalars(select(ServerRow).order_by(ServerRow.name))
            )

    def remove_server(self, name: str) -> None:
        """Forget a source; NotFound when there is none, Conflict while a job uses it."""
        with self._write() as session:
            _unused(session, JobRow.source == name, f"the server {name}")
            _remove(session, ServerRow, name, "server")

    # --- VMware servers

    def add_vmware(self, known: KnownVmware) -> None:
        """Store a VMware server; Conflict when the name is taken."""
        with self._write() as session:
            _free(session, VmwareRow, known.server.name, "VMware server")
            session.add(
                VmwareRow(
                    name=known.server.name,
                    appliance_vm=known.appliance_vm,
                    appliance_uuid=known.appliance_uuid,
                    secret=self._vault.lock(known.password),
                    body=known.server,
                )
            )

    def repin_vmware(self, name: str, thumbprint: str) -> None:
        """Keep another thumbprint of a VMware server; NotFound when there is none."""
        known = self.vmware(name)
        with self._write() as session:
            row = session.get_one(VmwareRow, name)
            row.body = replace(known.server, thumbprint=thumbprint)

    def vmware(self, name: str) -> KnownVmware:
        """The VMware server of that name; NotFound when there is none."""
        with self._read() as session:
            row = session.get(VmwareRow, name)
            if row is None:
                raise NotFound(
                    f"there is no VMware server {name}",
                    hint="`dtesx vmware list` shows those there are; `dtesx vmware add` adds one",
                )
            return _known_vmware(row, self._vault)

    def all_vmware(self) -> tuple[KnownVmware, ...]:
        """All VMware servers by name."""
        with self._read() as session:
            return tuple(
                _known_vmware(row, self._vault)
                for row in session.scalars(select(VmwareRow).order_by(VmwareRow.name))
            )

    def remove_vmware(self, name: str) -> None:
        """Forget a VMware server; NotFound when there is none, Conflict while a job uses it."""
        with self._write() as session:
            _unused(session, JobRow.vmware == name, f"the VMware server {name}")
            _remove(session, VmwareRow, name, "VMware server")

    # --- inside

    def _prepare(self) -> None:
        with self._write() as session:
            Base.metadata.create_all(session.connection())
            row = session.scalar(select(SchemaRow))
            if row is None:
                session.add(SchemaRow(version=SCHEMA_VERSION))
            elif row.version != SCHEMA_VERSION:
                raise DtesxError(
                    f"{self._path} has schema version {row.version}, this dtesx needs {SCHEMA_VERSION}",
                    hint="run the dtesx version that wrote it, or restore a backup of this version",
                )

    def _put_job(self, session: Session, record: JobRecord) -> None:
        other = session.scalar(select(JobRow).where(JobRow.name == record.spec.name, JobRow.id != record.id))
        if other is not None:
            raise Conflict(
                f"there is a job {record.spec.name} already",
                hint="choose another name, or delete that job first",
            )
        session.merge(
            JobRow(
                id=record.id,
                name=record.spec.name,
                state=record.state.value,
                source=record.spec.source,
                vmware=record.spec.vmware,
                body=record,
            )
        )

    @contextmanager
    def _read(self) -> Iterator[Session]:
        with _as_ours(self._path), Session(self._engine) as session:
            yield session

    @contextmanager
    def _write(self) -> Iterator[Session]:
        with self._writing, _as_ours(self._path), Session(self._engine) as session, session.begin():
            yield session


@contextmanager
def _as_ours(path: Path) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        text = str(error.orig)
        if "full" in text:  # SQLITE_FULL has this one text: "database or disk is full"
            raise TargetFull(
                f"no space left for {path}", hint=f"free some space on the file system of {path.parent}"
            ) from error
        raise DtesxError(
            f"the store {path} failed: {text}", hint="look at the disk and the system's log"
        ) from error
    except DatabaseError as error:
        raise DtesxError(
            f"the store {path} is damaged: {error.orig}", hint="stop the service and restore a backup of it"
        ) from error


def _configure(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _known_vmware(row: VmwareRow, vault: Vault) -> KnownVmware:
    return KnownVmware(row.body, row.appliance_vm, row.appliance_uuid, vault.open(row.secret))


def _put_operation(session: Session, operation: Operation) -> None:
    row = session.scalar(select(OperationRow).where(OperationRow.id == operation.id))
    if row is None:
        row = OperationRow(id=operation.id, job=operation.job)
        session.add(row)
    row.state = operation.state.value
    row.body = operation


def _remove_job(session: Session, deletion: Operation) -> None:
    """Forget a job and its operations, but for the one that tells how it ended."""
    session.execute(delete(JobRow).where(JobRow.id == deletion.job))
    session.execute(
        delete(OperationRow).where(OperationRow.job == deletion.job, OperationRow.id != deletion.id)
    )


def _last_operation(job: str) -> Any:
    return select(OperationRow).where(OperationRow.job == job).order_by(OperationRow.serial.desc()).limit(1)


def _free(session: Session, table: type[Base], name: str, what: str) -> None:
    if session.get(table, name) is not None:
        raise Conflict(
            f"there is a {what} {name} already", hint="choose another name, or remove that one first"
        )


def _unused(session: Session, condition: Any, what: str) -> None:
    users = session.scalars(select(JobRow.name).where(condition).order_by(JobRow.name)).all()
    if users:
        raise Conflict(f"{what} is used by: {', '.join(users)}", hint="delete these jobs first")


def _remove(session: Session, table: type[Base], name: str, what: str) -> None:
    row = session.get(table, name)
    if row is None:
        raise NotFound(f"there is no {what} {name}", hint="the list shows those there are")
    session.delete(row)
