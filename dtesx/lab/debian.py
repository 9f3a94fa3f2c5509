"""Debian file systems made by mmdebstrap: each recipe's is built once, kept in a cache, copied per lab."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dtesx.base.run import run
from dtesx.lab import rootfs
from dtesx.lab.apt_sources import debian_lines, host_files
from dtesx.lab.recipe import SUITE

Progress = Callable[[str], None]

IMAGE_BYTES = 8 << 30
_UNUSED_SECONDS = 7 * 86400.0
_APT_SETTINGS = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-", "Acquire::Retries")
# When the build is cut short, nothing that it started or mounted may stay.
_CONTAINED = (
    "unshare",
    "--pid",
    "--fork",
    "--kill-child=KILL",
    "--mount-proc",
    "--propagation",
    "private",
    "--",
)


@dataclass(frozen=True)
class Recipe:
    """What a tree is made of: Debian packages without the paths in ``excludes``, but those in ``includes``.

    ``configure`` ends the making, in the mounted tree. ``decided_by`` are the files that decide what the
    tree holds; when one of them changes, the tree is built again.
    """

    name: str
    label: str
    packages: tuple[str, ...]
    excludes: tuple[str, ...]
    includes: tuple[str, ...]
    configure: Callable[[rootfs.MountedTree], None]
    decided_by: tuple[str, ...]

    @property
    def key(self) -> str:
        """A short hash of everything that decides what the tree holds, but for the archive's state."""
        digest = sha256()
        for path in (__file__, *self.decided_by):
            digest.update(Path(path).read_bytes())
        return digest.hexdigest()[:12]


@dataclass(frozen=True)
class BaseTree:
    """A built tree in the cache: the ext4 image without partition table, its kernel and initrd."""

    image: Path
    kernel: Path
    initrd: Path


def built(cache: Path, recipe: Recipe, progress: Progress) -> BaseTree:
    """The recipe's tree, built when the cache lacks it (1 to 3 minutes, about 1 GB).

    Several processes may ask at once: one builds, the others wait. Checkouts that share a cache may
    have other recipes: their trees go when nobody has asked for them for a week.
    """
    cache.mkdir(parents=True, exist_ok=True)
    tree = BaseTree(*(cache / f"{recipe.name}-{recipe.key}.{kind}" for kind in ("img", "vmlinuz", "initrd")))
    with _only_one(cache / "tree.lock", progress):
        if not tree.image.exists():
            remove_old(cache, recipe.name)
            _build(cache, recipe, tree, progress)
        os.utime(tree.image)
    return tree


def _build(cache: Path, recipe: Recipe, tree: BaseTree, progress: Progress) -> None:
    image = cache / f".{recipe.name}-{secrets.token_hex(4)}.img"
    where = cache / f"{image.name}.root"
    try:
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        run(["mkfs.ext4", "-q", "-L", recipe.label, "-m", "1", str(image)])
        with rootfs.mounted_tree(image, where) as mounted:
            progress(f"building a Debian 12 {recipe.name} with mmdebstrap (1 to 3 minutes, once)")
            _bootstrap(mounted.root, recipe)
            progress(f"configuring the {recipe.name}")
            _forget_the_archive(mounted.root)
            recipe.configure(mounted)
            _copy_kernel(mounted.root, tree)
            run(["fstrim", str(where)])
        image.rename(tree.image)
    finally:
        image.unlink(missing_ok=True)
        if where.is_dir():
            where.rmdir()


def remove_old(cache: Path, name: str) -> None:
    """Trees that nobody uses, and what a killed build left (nobody else builds: we hold the lock)."""
    for root in cache.glob(f".{name}-*.root"):
        if root.is_mount():
            run(["umount", str(root)])
        root.rmdir()
    for image in cache.glob(f".{name}-*.img"):
        image.unlink(missing_ok=True)
    for image in cache.glob(f"{name}-*.img"):
        if image.stat().st_mtime < time.time() - _UNUSED_SECONDS:
            for part in cache.glob(f"{image.stem}.*"):
                part.unlink(missing_ok=True)


def _bootstrap(root: Path, recipe: Recipe) -> None:
    excludes = [f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.excludes]
    includes = [f"--dpkgopt=path-include={pattern}" for pattern in recipe.includes]
    settings = [f"--aptopt={line}" for line in _apt_settings()]
    run(
        [
            *_CONTAINED,
            *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--quiet"),
            *("--dpkgopt=force-unsafe-io", *excludes, *includes, *settings),
            f"--include={','.join(recipe.packages)}",
            *(SUITE, str(root), *debian_lines(host_files())),
        ],
        timeout=1800,
        hint="check the network and the Debian entries in /etc/apt/sources.list*, then run it again",
    )


def _apt_settings() -> list[str]:
    """Proxy and date settings of the host's apt: what reaches the archive from here."""
    dump = run(["apt-config", "dump"]).text.splitlines()
    return [line for line in dump if line.startswith(_APT_SETTINGS) and not line.endswith('"";')]


def _forget_the_archive(root: Path) -> None:
    for leftover in (root / "etc/apt/apt.conf.d").glob("*mmdebstrap*"):
        leftover.unlink()
    for leftover in (root / "etc/apt/sources.list.d").iterdir():
        leftover.unlink()


def _copy_kernel(root: Path, tree: BaseTree) -> None:
    for pattern, copy in (("vmlinuz-*", tree.kernel), ("initrd.img-*", tree.initrd)):
        newest = sorted((root / "boot").glob(pattern))[-1]
        copy.write_bytes(newest.read_bytes())


@contextmanager
def _only_one(lock: Path, progress: Progress) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that builds a tree")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
