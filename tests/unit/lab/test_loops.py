from pathlib import Path

from dtesx.lab.loops import Loop, below, stacked_on

LOOPS = (
    Loop(Path("/dev/loop0"), "/lab/source/disk.img"),
    Loop(Path("/dev/loop1"), "/dev/loop2"),
    Loop(Path("/dev/loop2"), "/lab/datastore/a-flat.vmdk"),
    Loop(Path("/dev/loop3"), "/lab2/disk.img"),
    Loop(Path("/dev/loop4"), "/dev/loop1"),
    Loop(Path("/dev/loop20"), "/dev/loop"),
)


def test_devices_on_a_device_come_before_it() -> None:
    assert below(Path("/lab"), LOOPS) == tuple(
        map(Path, ("/dev/loop0", "/dev/loop4", "/dev/loop1", "/dev/loop2"))
    )


def test_other_labs_and_other_devices_are_left_alone() -> None:
    assert below(Path("/lab2"), LOOPS) == (Path("/dev/loop3"),)
    assert stacked_on(Path("/dev/loop0"), LOOPS) == ()
