"""The tables of the store: key columns for finding, and the model value as one JSON column."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from sqlalchemy import Dialect, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from dtesx.base.described import described
from dtesx.model.api import ServerInfo
from dtesx.model.job import Operation
from dtesx.model.record import JobRecord
from dtesx.model.vmware import VmwareServer

SCHEMA_VERSION = 5

T = TypeVar("T")


class Body(TypeDecorator[T]):
    """A model value as JSON text. Fields that newer versions added get their defaults."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[T]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: T | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any | None, dialect: Dialect) -> T | None:  # noqa: ARG002
        return None if value is None else msgspec.json.decode(value, type=described(self.kind))


class Base(DeclarativeBase):
    """Base of the tables."""


class SchemaRow(Base):
    """One row: the version of these tables, so that a later dtesx knows what it finds."""

    __tablename__ = "schema"
    version: Mapped[int] = mapped_column(primary_key=True)


class ServerRow(Base):
    """A paired source; ``secret`` is its bearer, encrypted."""

    __tablename__ = "servers"
    name: Mapped[str] = mapped_column(primary_key=True)
    certificate: Mapped[str]
    secret: Mapped[str]
    body: Mapped[ServerInfo] = mapped_column(Body(ServerInfo))


class VmwareRow(Base):
    """A vCenter or ESXi host; ``secret`` is the password, encrypted."""

    __tablename__ = "vmware"
    name: Mapped[str] = mapped_column(primary_key=True)
    appliance_vm: Mapped[str]
    appliance_uuid: Mapped[str]
    secret: Mapped[str]
    body: Mapped[VmwareServer] = mapped_column(Body(VmwareServer))


class JobRow(Base):
    """A job; users have since set ``bandwidth`` (bytes/s, 0 for none) and ``replication`` (its switch)."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str] = mapped_column(index=True)
    source: Mapped[str] = mapped_column(index=True)
    vmware: Mapped[str] = mapped_column(index=True)
    bandwidth: Mapped[int | None]
    replication: Mapped[str | None]
    body: Mapped[JobRecord] = mapped_column(Body(JobRecord))


class OperationRow(Base):
    """An operation; ``serial`` orders the operations of a job by their first start."""

    __tablename__ = "operations"
    serial: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    job: Mapped[str] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(index=True)
    body: Mapped[Operation] = mapped_column(Body(Operation))
