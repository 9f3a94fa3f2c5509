"""Roots of the distributions, made by hand: what starts, guards and is hosted on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtesx.inventory.hosting import find_containers, find_security
from dtesx.inventory.starting import find_boot
from dtesx.model.inventory import (
    Boot,
    BootLoader,
    ContainerEngine,
    Containers,
    InitramfsTool,
    Security,
    SelinuxMode,
)

SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
DEBIAN = ("boot/grub/grub.cfg", "usr/sbin/mkinitramfs")
RHEL = ("boot/grub2/grub.cfg", "boot/loader/entries/1.conf", "usr/bin/dracut", "usr/sbin/mkinitrd")
SUSE = ("boot/grub2/grub.cfg", "usr/bin/dracut", "sbin/mkinitrd")
ARCH = ("boot/EFI/systemd/systemd-bootx64.efi", "usr/bin/mkinitcpio")


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("files", "loader", "entries", "tool"),
    [
        (DEBIAN, BootLoader.GRUB, False, InitramfsTool.INITRAMFS_TOOLS),
        (RHEL, BootLoader.GRUB, True, InitramfsTool.DRACUT),
        (SUSE, BootLoader.GRUB, False, InitramfsTool.DRACUT),
        (ARCH, BootLoader.SYSTEMD_BOOT, False, InitramfsTool.MKINITCPIO),
        (("boot/extlinux/extlinux.conf",), BootLoader.EXTLINUX, False, InitramfsTool.UNKNOWN),
        (("etc/lilo.conf", "sbin/mkinitrd"), BootLoader.LILO, False, InitramfsTool.MKINITRD),
    ],
)
def test_boot_loader_and_initramfs_tool(
    tmp_path: Path, files: tuple[str, ...], loader: BootLoader, entries: bool, tool: InitramfsTool
) -> None:
    found = find_boot(tree(tmp_path, *files))
    assert (found.loader, found.entries, found.initramfs) == (loader, entries, tool)


@pytest.mark.parametrize(
    ("value", "secure"), [(b"\x06\0\0\0\x01", True), (b"\x06\0\0\0\0", False), (b"", False)]
)
def test_secure_boot_is_a_variable_of_the_firmware(tmp_path: Path, value: bytes, secure: bool) -> None:
    tree(tmp_path, SECURE_BOOT)
    (tmp_path / SECURE_BOOT).write_bytes(value)
    assert find_boot(tmp_path).secure is secure


def test_kernels_and_arguments(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "lib/modules/6.1/modules.dep",
        "lib/modules/5.10/modules.dep",
        "lib/modules/left/x",
        "proc/cmdline",
    )
    (tmp_path / "proc/cmdline").write_text("root=UUID=1 ro  quiet\n")
    found = find_boot(tmp_path)
    assert (found.kernels, found.arguments) == (("5.10", "6.1"), ("root=UUID=1", "ro", "quiet"))


def test_an_empty_root_tells_nothing(tmp_path: Path) -> None:
    assert find_boot(tmp_path) == Boot()
    assert find_security(tmp_path) == Security()
    assert find_containers(tmp_path) == ()


@pytest.mark.parametrize(("value", "mode"), [("1", SelinuxMode.ENFORCING), ("0", SelinuxMode.PERMISSIVE)])
def test_selinux(tmp_path: Path, value: str, mode: SelinuxMode) -> None:
    tree(tmp_path, "sys/fs/selinux/enforce", "etc/selinux/config")
    (tmp_path / "sys/fs/selinux/enforce").write_text(value)
    (tmp_path / "etc/selinux/config").write_text(
        "SELINUX=enforcing\n# SELINUXTYPE=mls\nSELINUXTYPE=targeted\n"
    )
    assert find_security(tmp_path) == Security(mode, "targeted")


def test_selinux_that_is_switched_off_has_no_policy(tmp_path: Path) -> None:
    tree(tmp_path, "etc/selinux/config", "sys/kernel/security/apparmor/profiles")
    (tmp_path / "etc/selinux/config").write_text("SELINUXTYPE=targeted\n")
    (tmp_path / "sys/kernel/security/apparmor/profiles").write_text(
        "/usr/bin/man (enforce)\nlsb_release (enforce)\n"
    )
    assert find_security(tmp_path) == Security(apparmor=2)


def test_engines_with_and_without_containers(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "var/lib/docker/containers/a/config.v2.json",
        "var/lib/docker/containers/b/config.v2.json",
        "var/lib/lxc/one/config",
        "var/lib/containers/storage/storage.lock",
    )
    assert find_containers(tmp_path) == (
        Containers(ContainerEngine.DOCKER, "/var/lib/docker", 2),
        Containers(ContainerEngine.PODMAN, "/var/lib/containers/storage", 0),
        Containers(ContainerEngine.LXC, "/var/lib/lxc", 1),
    )
