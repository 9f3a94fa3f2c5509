from __future__ import annotations

import stat

import pytest

from dtesx.base.errors import DtesxError
from dtesx.boot import cpio
from dtesx.boot.cpio import Member
from dtesx.boot.drivers import REQUIRED, closure, missing, modules_directory
from dtesx.boot.initrd import Initrd
from dtesx.boot.kernels import module_name, parse_builtin, parse_dependencies, version_key

DEP = (
    "kernel/drivers/scsi/vmw_pvscsi.ko: kernel/drivers/scsi/scsi_mod.ko\n"
    "kernel/drivers/scsi/sd_mod.ko.xz: kernel/drivers/scsi/scsi_mod.ko kernel/lib/crc-t10dif.ko\n"
    "kernel/drivers/scsi/scsi_mod.ko:\n"
)


def holding(*names: str) -> Initrd:
    return Initrd({name: cpio.regular(name, b"") for name in names})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b/vmw_pvscsi.ko", "vmw_pvscsi"),
        ("vmxnet3.ko.zst", "vmxnet3"),
        ("crc-t10dif.ko.xz", "crc_t10dif"),
        ("kernel/x.ko.gz", "x"),
        ("modules.dep", ""),
        ("x.komodo", ""),
    ],
)
def test_module_names(path: str, name: str) -> None:
    assert module_name(path) == name


def test_missing_looks_into_archive_and_kernel() -> None:
    assert missing(holding("init"), ()) == REQUIRED
    held = holding("usr/lib/modules/6/kernel/vmw_pvscsi.ko.xz", "lib/modules/6/vmxnet3.ko")
    assert missing(held, ()) == ("sd_mod",)
    assert missing(held, parse_builtin("kernel/drivers/scsi/sd_mod.ko\n")) == ()


def test_closure_holds_each_file_once() -> None:
    assert closure(["vmw_pvscsi", "sd_mod"], parse_dependencies(DEP)) == (
        "kernel/drivers/scsi/vmw_pvscsi.ko",
        "kernel/drivers/scsi/scsi_mod.ko",
        "kernel/drivers/scsi/sd_mod.ko.xz",
        "kernel/lib/crc-t10dif.ko",
    )


def test_a_kernel_without_the_driver_is_named() -> None:
    with pytest.raises(DtesxError, match="vmxnet3") as caught:
        closure(["vmxnet3"], parse_dependencies(DEP))
    assert "kernel package" in caught.value.hint


def test_modules_go_where_the_archive_keeps_them() -> None:
    link = Member("lib", stat.S_IFLNK | 0o777, b"usr/lib")
    assert modules_directory(holding("lib/modules/6/a.ko"), "6") == "lib/modules/6"
    assert modules_directory(holding("usr/lib/modules/6/a.ko"), "6") == "usr/lib/modules/6"
    assert modules_directory(Initrd({"lib": link}), "6") == "usr/lib/modules/6"
    assert modules_directory(Initrd({"lib": cpio.directory("lib")}), "6") == "lib/modules/6"


def test_versions_sort_as_kernels_do() -> None:
    versions = ["6.1.0-9-amd64", "6.1.0-10-amd64", "5.15.0-101-generic", "6.10.0", "6.10.0-rc3"]
    assert sorted(versions, key=version_key) == [
        "5.15.0-101-generic",
        "6.1.0-9-amd64",
        "6.1.0-10-amd64",
        "6.10.0-rc3",
        "6.10.0",
    ]
