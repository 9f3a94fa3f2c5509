from pathlib import Path

from dtesx.lab.loops import Loop, below, stacked_on

LOOPS = (
    Loop(Path("/dev/loop0"), 0x700, "/lab/source/disk.img"),
    Loop(Path("/dev/loop1"), 0x701, "/loop2", 0x702),
    Loop(Path("/dev/loop2"), 0x702, "/lab/datastore/a-flat.vmdk"),
    Loop(Path("/dev/loop3"), 0x703, "/lab2/disk.img"),
    Loop(Path("/dev/loop4"), 0x704, "/dev/loop1", 0x701),
)


def test_devices_on_a_device_come_before_it() -> None:
    names = ("/dev/loop0", "/dev/loop4", "/dev/loop1", "/dev/loop2")
    assert below(Path("/lab"), LOOPS) == tuple(map(Path, names))


def test_other_labs_and_other_devices_are_left_alone() -> None:
    assert below(Path("/lab2"), LOOPS) == (Path("/dev/loop3"),)
    assert stacked_on(0x700, LOOPS) == ()
