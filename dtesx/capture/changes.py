"""What one drained batch of changes says about a watched tree. Pure.

Everything here is a hint: it names what is to be looked at again, not what it has become.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dtesx.model.spans import Spans

Names = dict[bytes, set[bytes]]
"""Names by the path of their directory, relative to the watched root.

The root's own attributes are the name ``b""`` in the directory ``b""``.
"""


@dataclass(frozen=True, slots=True)
class FileId:
    """A file for as long as it lives, whatever its names are.

    ``device`` is the file system's own number (major:minor of proc(5), mountinfo; on btrfs not what
    stat(2) says), ``root`` the btrfs subvolume, 0 elsewhere. A reused ``inode`` has another
    ``generation``.
    """

    device: int
    root: int
    inode: int
    generation: int


@dataclass(slots=True)
class Changes:
    """What happened below one watched root since the drain before.

    ``appeared`` were created, linked or renamed to: they may stand for other files than before, and a
    directory may have come with everything below it. ``names`` were removed, renamed from, or got
    other attributes. ``ranges`` are the bytes of files that may be others, also of files that are not
    below the root; those that are ``silent`` have to be written back before they are read: until then
    stores into mappings are not told. ``written`` names may have other content, and nobody knows where in
    it; ``files`` may have, too, and came without a name. ``lost``: there were changes that nothing here
    tells of; all that the catalogue does not confirm is to be looked at.

    ``moved`` are the old path of something that was renamed, in the tree as it was at the drain before,
    and the path that it had at this one. Not all that was renamed is among them; what is, was at the
    one path and then at the other, and each thing is there once. Unless something may have ``arrived``
    from elsewhere, what is in directories that appeared is told by names of its own.
    """

    appeared: Names = field(default_factory=dict)
    names: Names = field(default_factory=dict)
    ranges: dict[FileId, Spans] = field(default_factory=dict)
    silent: dict[FileId, Spans] = field(default_factory=dict, compare=False)
    written: Names = field(default_factory=dict)
    files: set[FileId] = field(default_factory=set)
    moved: list[tuple[bytes, bytes]] = field(default_factory=list)
    arrived: bool = field(default=False, compare=False)
    lost: bool = False

    def __bool__(self) -> bool:
        told = self.appeared, self.names, self.ranges, self.written, self.files, self.moved, self.lost
        return any(told)


@dataclass(frozen=True)
class CaptureStatistics:
    """Counts since the start: events read, overflows, and names that wait for the next drain."""

    events: int = 0
    overflows: int = 0
    waiting: int = 0
