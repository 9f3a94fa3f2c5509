"""GRUB's core image for the replica, made of its own GRUB modules or else of the appliance's."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import DtesxError
from dtesx.base.run import run
from dtesx.boot import fstab
from dtesx.boot.grub_config import View, fs_module
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree

# Debian, Ubuntu and Red Hat; SUSE today and before.
_PLACES = ("/usr/lib/grub/{}", "/usr/share/grub2/{}", "/usr/lib/grub2/{}")
_OWN_PLACE = "/usr/lib/grub/{}"
_COPIED = (".mod", ".lst")
_SUSE_COMMAND = b"btrfs-mount-subvol"
_COMMON = ("part_gpt", "part_msdos", "search", "search_fs_uuid")


@dataclass(frozen=True)
class Platform:
    """A kind of GRUB: the files that it is made of, and the modules that reach the disk."""

    name: str
    package: str
    needed: tuple[str, ...]
    core: tuple[str, ...]


BIOS = Platform(
    "i386-pc",
    "grub-pc-bin",
    ("boot.img", "diskboot.img", "kernel.img", "lzma_decompress.img", "moddep.lst", "normal.mod"),
    ("biosdisk", *_COMMON),
)
UEFI = Platform(
    "x86_64-efi",
    "grub-efi-amd64-bin",
    ("kernel.img", "moddep.lst", "normal.mod"),
    (*_COMMON, "fat", "normal", "configfile", "linux", "all_video"),
)


@dataclass(frozen=True)
class Modules:
    """Where GRUB's modules for a platform are, on this machine's paths."""

    platform: Platform
    directory: Path
    suse: bool
    entries: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The files that GRUB loads at run time."""
        return tuple(sorted(p.name for p in self.directory.iterdir() if p.suffix in _COPIED))


def find_modules(tree: Tree, platform: Platform) -> Modules | None:
    """The replica's own modules, which fit its grub.cfg, else this machine's; None when there are none."""
    own = [tree.resolve(place.format(platform.name)) for place in _PLACES]
    for place in (*own, Path(_OWN_PLACE.format(platform.name))):
        if all((place / name).is_file() for name in platform.needed):
            btrfs = place / "btrfs.mod"
            suse = btrfs.is_file() and _SUSE_COMMAND in btrfs.read_bytes()
            return Modules(platform, place, suse, (place / "blscfg.mod").is_file())
    return None


def modules(tree: Tree, platform: Platform) -> Modules:
    """The same. Raises DtesxError when there are none."""
    found = find_modules(tree, platform)
    if found is None:
        raise DtesxError(
            f"GRUB's files ({platform.name}) are neither on the replica nor on this machine",
            hint=f"install {platform.package} on the appliance",
        )
    return found


def view(replica: Replica, *, suse: bool) -> View:
    """How GRUB sees the replica's /boot. ``suse`` is whether it is SUSE's GRUB."""
    boot = replica.boot
    by_default = boot.fs_type == "btrfs" and not fstab.subvolume(replica.tree.text(fstab.FSTAB), boot)
    return View(boot, boot.subvolume, relative=suse and by_default)


def copy_modules(tree: Tree, found: Modules, directory: str) -> bool:
    """Put the modules where GRUB looks for them; tell whether that changed anything."""
    target = f"{directory}/{found.platform.name}"
    written = [
        tree.write(f"{target}/{name}", (found.directory / name).read_bytes(), durable=False)
        for name in found.names
    ]
    return any(written)


def core_image(replica: Replica, found: Modules, directory: str) -> bytes:
    """An image that finds /boot by UUID and goes on with grub.cfg in ``directory`` there."""
    platform, boot = found.platform, replica.boot
    seen = view(replica, suse=found.suse)
    prefix = seen.seen(directory)
    lines = [*seen.search(), *_mounts(replica, found, directory), f"set prefix=($root){prefix}"]
    needed = [*platform.core, fs_module(boot.fs_type), *(["lvm"] if boot.group else [])]
    with tempfile.TemporaryDirectory(prefix="dtesx-grub-") as scratch:
        config, image = Path(scratch, "load.cfg"), Path(scratch, "core.img")
        config.write_text("\n".join(lines) + "\n")
        run(
            [
                *("grub-mkimage", "--directory", str(found.directory), "--format", platform.name),
                *("--prefix", prefix, "--config", str(config), "--output", str(image), *needed),
            ],
            hint=f"install grub-common and {platform.package} on the appliance",
        )
        return image.read_bytes()


def _mounts(replica: Replica, found: Modules, directory: str) -> list[str]:
    """SUSE keeps modules in a subvolume of their own, outside the snapshots of the root: GRUB mounts it."""
    place = f"{directory}/{found.platform.name}"
    subvolume = fstab.options(replica.tree.text(fstab.FSTAB), place).get("subvol", "")
    if not found.suse or not subvolume:
        return []
    return [f"btrfs-mount-subvol ($root) {place} {subvolume.lstrip('/')}"]
