"""GRUB on the replica: modules, core image, boot code and menu."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from dtesx.base.errors import DtesxError
from dtesx.base.run import run
from dtesx.boot import boot_code, grub_config, kernels
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree

_PLATFORM = "i386-pc"
_MODULES = f"/usr/lib/grub/{_PLATFORM}"
_CORE = ("biosdisk", "part_gpt", "part_msdos", "search_fs_uuid")
_COPIED = (".mod", ".lst")
_NEEDED = ("boot.img", "diskboot.img", "kernel.img", "normal.mod")


def install_bios(replica: Replica) -> Sequence[str]:
    """Make the replica's first disk start by BIOS. Raises DtesxError when GRUB's files are nowhere."""
    directory = _directory(replica.tree)
    modules = _modules(replica.tree)
    changes = []
    if _copy_modules(replica.tree, modules, f"{directory}/{_PLATFORM}"):
        changes.append(f"GRUB modules copied to {directory}/{_PLATFORM}")
    replica.tree.sync("/boot")
    if _write_menu(replica, f"{directory}/grub.cfg"):
        changes.append(f"{directory}/grub.cfg written for the replica's disks")
    core = _core_image(replica, modules, directory)
    boot_image = (modules / "boot.img").read_bytes()
    if boot_code.install(replica.system_disk, replica.layout.disks[0], boot_image, core):
        changes.append("GRUB for BIOS installed on the first disk")
    return changes


def _directory(tree: Tree) -> str:
    """Where the distribution keeps grub.cfg."""
    return "/boot/grub2" if tree.is_directory("/boot/grub2") else "/boot/grub"


def _modules(tree: Tree) -> Path:
    """GRUB's files: the replica's own, so that they fit its grub.cfg, else this machine's."""
    for place in (tree.resolve(_MODULES), Path(_MODULES)):
        if all((place / name).is_file() for name in _NEEDED):
            return place
    raise DtesxError(
        "GRUB's files for BIOS are neither on the replica nor on this machine",
        hint="install grub-pc-bin on the appliance",
    )


def _copy_modules(tree: Tree, modules: Path, target: str) -> bool:
    files = sorted(path for path in modules.iterdir() if path.suffix in _COPIED)
    written = [tree.write(f"{target}/{path.name}", path.read_bytes(), durable=False) for path in files]
    return any(written)


def _write_menu(replica: Replica, path: str) -> bool:
    tree = replica.tree
    present = kernels.installed(tree)
    root, boot = replica.holder("/"), replica.boot
    known = {partition.uuid for partition in replica.file_systems}
    swaps = {partition.uuid for partition in replica.swaps}
    images = {kernel.image.rsplit("/", 1)[-1] for kernel in present}
    if grub_config.fits(tree.text(path), root, known, swaps, images):
        return False
    words = grub_config.arguments(tree.text("/etc/default/grub"), swaps)
    return tree.write(path, grub_config.plain(_title(tree), present, root, boot, words))


def _title(tree: Tree) -> str:
    pretty = grub_config.defaults(tree.text("/etc/os-release")).get("PRETTY_NAME", "Linux")
    return pretty.replace("'", "")


def _core_image(replica: Replica, modules: Path, directory: str) -> bytes:
    """core.img that finds /boot by UUID and goes on with grub.cfg there."""
    boot = replica.boot
    with tempfile.TemporaryDirectory(prefix="dtesx-grub-") as scratch:
        config, image = Path(scratch, "load.cfg"), Path(scratch, "core.img")
        prefix = grub_config.seen(directory, boot)
        config.write_text(f"search.fs_uuid {boot.uuid} root\nset prefix=($root){prefix}\n")
        run(
            [
                *("grub-mkimage", "--directory", str(modules), "--format", _PLATFORM),
                *("--prefix", prefix, "--config", str(config), "--output", str(image)),
                *(*_CORE, grub_config.fs_module(boot.fs_type)),
            ],
            hint="install grub-common and grub-pc-bin on the appliance",
        )
        return image.read_bytes()
