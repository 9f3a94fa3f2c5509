"""Whose replica a place holds, and what the last mirror to it saw: a file that outlives the target."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from dtesx.base.described import described
from dtesx.base.errors import Conflict, DtesxError
from dtesx.base.files import write_atomic
from dtesx.model.roots import SourceRoot

_LOCK = threading.Lock()


class _Record(msgspec.Struct, frozen=True):
    source: str = ""
    roots: tuple[SourceRoot, ...] = ()


class Binding:
    """What is kept of one place in ``file``.

    With ``source`` (a fingerprint) the place belongs to that source alone. ``one_root``: the place
    holds one tree, so another path is another path of that tree. Several threads may use one file.
    """

    def __init__(self, file: Path, source: str = "", *, one_root: bool = False) -> None:
        self._file = file
        self._source = source
        self._one_root = one_root

    def claim(self) -> None:
        """Bind the place to the source, durably; Conflict when it is another's."""
        with _LOCK:
            if self._checked() is None:
                self._write(_Record(self._source))

    def check(self) -> None:
        """Bind nothing; Conflict when the place is another source's."""
        self._checked()

    def last(self, root: str) -> SourceRoot | None:
        """What the last mirror saw of ``root``; None when there was none."""
        record = self._read() or _Record()
        return next((seen for seen in record.roots if self._one_root or seen.path == root), None)

    def bind(self, seen: SourceRoot) -> None:
        """Keep what a mirror sees, durably."""
        with _LOCK:
            record = self._read() or _Record(self._source)
            others = () if self._one_root else (root for root in record.roots if root.path != seen.path)
            changed = _Record(record.source, (*others, seen))
            if set(changed.roots) != set(record.roots):
                self._write(changed)

    def _checked(self) -> _Record | None:
        record = self._read()
        if record is not None and record.source != self._source:
            raise Conflict(
                f"{self._file.stem} holds the replica of another source",
                hint=f"use another name; or give this one up: remove {self._file} on the target",
            )
        return record

    def _read(self) -> _Record | None:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=described(_Record))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise DtesxError(
                f"the target cannot read {self._file}: {error}",
                hint="if it is damaged, remove it on the target; the next mirror writes it anew",
            ) from error

    def _write(self, record: _Record) -> None:
        write_atomic(self._file, msgspec.json.encode(record))
