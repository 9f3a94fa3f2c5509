from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.boot import identity, resume
from dtesx.boot.cpio import regular
from dtesx.boot.initrd import Initrd
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree
from dtesx.model.inventory import Firmware
from dtesx.model.layout import MIB, DiskLayout, Layout, Partition, PartitionRole

ROOT = Partition(2, PartitionRole.FILE_SYSTEM, 2 * MIB, MIB, "ext4", "u-root", "", "/")
SWAP = Partition(3, PartitionRole.SWAP, 3 * MIB, MIB, "swap", "u-swap")


def replica(root: Path, *, hostname: str = "", swap: bool = False) -> Replica:
    layout = Layout(Firmware.BIOS, (DiskLayout(0, 9 * MIB, (ROOT, SWAP) if swap else (ROOT,)),))
    return Replica(Tree(root), layout, Path("/dev/null"), hostname=hostname)


def test_the_host_name_is_kept_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hostname").write_text("alpha\n")
    (tmp_path / "etc/hosts").write_text("127.0.1.1\talpha.example.org alpha # alpha\n10.0.0.1 alphabet\n")
    assert identity.fix_hostname(replica(tmp_path)) == ()
    assert identity.fix_hostname(replica(tmp_path, hostname="beta")) == ("host name alpha is now beta",)
    assert (tmp_path / "etc/hostname").read_text() == "beta\n"
    hosts = (tmp_path / "etc/hosts").read_text()
    assert hosts == "127.0.1.1\tbeta.example.org beta # alpha\n10.0.0.1 alphabet\n"
    assert identity.fix_hostname(replica(tmp_path, hostname="beta")) == ()


def test_cloud_init_is_switched_off_where_it_is(tmp_path: Path) -> None:
    given = replica(tmp_path)
    assert identity.keep_instance(given) == ()
    (tmp_path / "etc/cloud").mkdir(parents=True)
    (tmp_path / "etc/cloud/cloud.cfg").write_text("users: [default]\n")
    assert len(identity.keep_instance(given)) == 1
    assert (tmp_path / "etc/cloud/cloud-init.disabled").exists()
    assert identity.keep_instance(given) == ()


def archive(**files: str) -> Initrd:
    named = {"conf/initramfs.conf": "RESUME=\n"} | {f"conf/conf.d/{k}": v for k, v in files.items()}
    return Initrd({name: regular(name, text.encode()) for name, text in named.items()})


@pytest.mark.parametrize("value", ["none", "", "UUID=U-SWAP", '"UUID=u-swap"', "/dev/disk/by-uuid/u-swap"])
def test_a_resume_device_that_is_there_is_kept(tmp_path: Path, value: str) -> None:
    found = archive(resume=f"RESUME=/dev/gone\nRESUME={value}\n")
    assert resume.additions(replica(tmp_path, swap=True), found) == []


@pytest.mark.parametrize(("swap", "new"), [(True, "UUID=u-swap"), (False, "none")])
def test_a_lost_resume_device_is_replaced(tmp_path: Path, swap: bool, new: str) -> None:
    given = replica(tmp_path, swap=swap)
    found = archive(**{"zz-resume-auto": "RESUME=/dev/sda5\n"})
    (member,) = resume.additions(given, found)
    assert member.data == f"RESUME={new}\n".encode()
    corrected = Initrd(found.members | {member.name: member})
    assert resume.additions(given, corrected) == []


def test_other_archives_than_initramfs_tools_are_left_alone(tmp_path: Path) -> None:
    assert resume.additions(replica(tmp_path), Initrd({"init": regular("init", b"")})) == []


def test_the_configuration_for_later_builds_follows(tmp_path: Path) -> None:
    config = tmp_path / "etc/initramfs-tools/conf.d/resume"
    assert resume.fix(replica(tmp_path)) == ()
    assert not config.exists()
    config.parent.mkdir(parents=True)
    config.write_text("RESUME=UUID=gone\n")
    assert resume.fix(replica(tmp_path)) == ("resume device UUID=gone is now none",)
    assert config.read_text() == "RESUME=none\n"
    assert resume.fix(replica(tmp_path)) == ()
