"""Sending one name that is no directory: its metadata alone, or all of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from dtesx import batch
from dtesx.mirror import content
from dtesx.mirror.packing import Packer
from dtesx.mirror.scan import Visit
from dtesx.mirror.tally import Tally
from dtesx.wire.items import Item
from dtesx.wire.operations import Abort, Adjust, Begin, Data, End, Make, Put
from dtesx.wire.parts import OpenFile


class FileSender:
    """Reads files of the source and packs what the target has to do about them.

    ``pause`` is called at every piece of a large file and may raise to stop, ``let_begin`` before a
    file in pieces begins: no other may be half sent then. With ``kept``, what is sent is what the file
    holds when it is sent, not when it arrives. Every method raises OSError when the file cannot be read.
    """

    def __init__(
        self,
        packer: Packer,
        tally: Tally,
        pause: Callable[[], None],
        let_begin: Callable[[], None],
        *,
        kept: bool,
    ) -> None:
        self._let_begin = let_begin
        self._straight = not kept
        self._packer = packer
        self._tally = tally
        self._pause = pause

    def adjust(self, visit: Visit, source: Item) -> None:
        """Send the metadata of a name whose content is right."""
        flags = -1
        if source.kind == stat.S_IFREG:
            with content.opened(source.name, visit.fd) as (fd, _):
                flags = content.flags(fd)
        self.adjusted(visit.path, source, flags)

    def adjusted(self, directory: bytes, item: Item, flags: int) -> None:
        """Send the metadata of a name of ``directory`` with the flags that it has."""
        self._packer.add(directory, Adjust(item, flags), names=len(item.name), xattrs=item.xattrs)

    def send(self, visit: Visit, source: Item) -> None:
        """Send a name whole."""
        if source.kind != stat.S_IFREG:
            names = len(source.name) + len(source.target)
            self._packer.add(visit.path, Make(source), names=names, xattrs=source.xattrs)
            return
        fd, status = content.open_with_status(source.name, visit.fd, source.link)
        try:
            self._regular(visit.path, source, fd, status)
        finally:
            os.close(fd)

    def send_new(self, visit: Visit, sources: list[Item]) -> list[Item]:
        """Send what can be sent of new small files at once; returns those that are still to be sent."""
        if batch.native is None:
            return sources
        puts, contents = batch.native.read(visit.fd, sources, content.DENSE, Put)
        made = [put for put in puts if put is not None]
        if made:
            self._packer.add_files(visit.path, made, contents)
        self._tally.files_sent += len(made)
        self._tally.bytes_sent += len(contents)
        return [source for source, put in zip(sources, puts, strict=True) if put is None]

    def _regular(self, directory: bytes, source: Item, fd: int, status: os.stat_result) -> None:
        flags = content.flags(fd)
        if not content.is_small(status):
            self._let_begin()
            self.pieces(directory, source, fd, status, flags)
            return
        data = content.read_whole(fd, status.st_size) if status.st_size else b""
        item = refreshed(source, status, len(data))
        put = Put(item, status.st_atime_ns, flags)
        self._packer.add(directory, put, data, names=len(item.name), xattrs=item.xattrs)
        self._tally.bytes_sent += len(data)

    def pieces(self, directory: bytes, source: Item, fd: int, status: os.stat_result, flags: int) -> None:
        """Send an open file in pieces."""
        add, tally = self._packer.add, self._tally
        add(directory, Begin(source.name, size=status.st_size), names=len(source.name))
        huge = status.st_size >= content.HUGE
        sent, file = 0, OpenFile(fd, straight=self._straight) if huge else None
        try:
            for offset, data in content.chunks(fd, status.st_size, file):
                add(directory, Data(offset, len(data)), data)
                sent += len(data)
                tally.bytes_sent += len(data)
                self._pause()
            if file is not None:
                self._read_out(file)
            size = min(status.st_size, os.fstat(fd).st_size)
            item = refreshed(source, status, size)
            add(directory, End(item, status.st_atime_ns, flags), names=len(item.name), xattrs=item.xattrs)
        except OSError:
            add(directory, Abort())
            raise
        tally.bytes_skipped += max(0, size - sent)

    def _read_out(self, file: OpenFile) -> None:
        """See that all of a file that is read when it travels could be read. Raises OSError."""
        self._packer.travel()
        file.told = True
        if file.error is not None:
            raise file.error


def refreshed(item: Item, status: os.stat_result, size: int) -> Item:
    """The item as it was when its content was read, where the file moved on since the walk saw it."""
    if (item.mode, item.uid, item.gid, item.mtime_ns, item.size) == (
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        size,
    ):
        return item
    return Item(
        item.name,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        size,
        item.link,
        xattrs=item.xattrs,
    )
