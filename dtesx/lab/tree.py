"""Building the source's file system: a real Debian 12 made by mmdebstrap, once, then copied per lab."""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dtesx.base.run import run
from dtesx.lab import ledger, oddities, recipe, rootfs
from dtesx.lab.apt_sources import debian_lines, host_files
from dtesx.lab.network import GATEWAY, SOURCE

Progress = Callable[[str], None]

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
_INGREDIENTS = (__file__, recipe.__file__, oddities.__file__, ledger.__file__)


@dataclass(frozen=True)
class BaseTree:
    """A built tree in the cache: the ext4 image without partition table, its kernel and initrd."""

    image: Path
    kernel: Path
    initrd: Path


def base_tree(cache: Path, progress: Progress) -> BaseTree:
    """The tree for today's recipe, built when the cache lacks it (1 to 3 minutes, about 1 GB).

    Several processes may ask at once: one builds, the others wait. Trees of older recipes are removed.
    """
    cache.mkdir(parents=True, exist_ok=True)
    key = recipe_key()
    tree = BaseTree(*(cache / f"tree-{key}.{kind}" for kind in ("img", "vmlinuz", "initrd")))
    with _only_one(cache / "tree.lock", progress):
        if not tree.image.exists():
            _remove_old(cache)
            _build(cache, tree, progress)
    return tree


def recipe_key() -> str:
    """A short hash of everything that decides what the tree holds, but for the archive's state."""
    digest = sha256()
    for path in _INGREDIENTS:
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:12]


def copy_image(tree: BaseTree, image: Path) -> None:
    """A lab's own copy: a reflink where the file system can, else the data without the holes."""
    run(["cp", "--reflink=auto", "--sparse=always", str(tree.image), str(image)])


def personalise(tree: rootfs.MountedTree, public_key: str) -> None:
    """Give a lab's copy what no two servers share: SSH host keys, machine id, who may log in."""
    root = tree.root
    run(["ssh-keygen", "-q", "-A", "-f", str(root)])
    write(root, "/etc/machine-id", secrets.token_hex(16) + "\n", 0o444)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    write(root, "/root/.ssh/authorized_keys", public_key, 0o600)


def write(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    """Replace a file of the tree, whatever it was (a link is not followed)."""
    where = root / path.lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    where.unlink(missing_ok=True)
    where.write_text(text)
    where.chmod(mode)


def _build(cache: Path, tree: BaseTree, progress: Progress) -> None:
    image = cache / f".tree-{secrets.token_hex(4)}.img"
    where = cache / f"{image.name}.root"
    try:
        with image.open("wb") as file:
            file.truncate(recipe.IMAGE_BYTES)
        run(["mkfs.ext4", "-q", "-L", recipe.ROOT_LABEL, "-m", "1", str(image)])
        with rootfs.mounted_tree(image, where) as mounted:
            progress("building a Debian 12 tree with mmdebstrap (1 to 3 minutes, once)")
            _bootstrap(mounted.root)
            progress("configuring the tree")
            _configure(mounted)
            _copy_kernel(mounted.root, tree)
            run(["fstrim", str(where)])
        image.rename(tree.image)
    finally:
        image.unlink(missing_ok=True)
        if where.is_dir():
            where.rmdir()


def _remove_old(cache: Path) -> None:
    """Trees of other recipes, and what a killed build left (nobody else builds: we hold the lock)."""
    for root in cache.glob(".tree-*.root"):
        if root.is_mount():
            run(["umount", str(root)])
        root.rmdir()
    for image in (*cache.glob("tree-*.*"), *cache.glob(".tree-*.img")):
        image.unlink(missing_ok=True)


def _bootstrap(root: Path) -> None:
    excludes = [f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.PATH_EXCLUDES]
    includes = [f"--dpkgopt=path-include={pattern}" for pattern in recipe.PATH_INCLUDES]
    settings = [f"--aptopt={line}" for line in _apt_settings()]
    run(
        [
            *_CONTAINED,
            *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--quiet"),
            *("--dpkgopt=force-unsafe-io", *excludes, *includes, *settings),
            f"--include={','.join(recipe.PACKAGES)}",
            *(recipe.SUITE, str(root), *debian_lines(host_files())),
        ],
        timeout=1800,
        hint="check the network and the Debian entries in /etc/apt/sources.list*, then run it again",
    )


def _apt_settings() -> list[str]:
    """Proxy and date settings of the host's apt: what reaches the archive from here."""
    dump = run(["apt-config", "dump"]).text.splitlines()
    return [line for line in dump if line.startswith(_APT_SETTINGS) and not line.endswith('"";')]


def _configure(tree: rootfs.MountedTree) -> None:
    root = tree.root
    for leftover in (root / "etc/apt/apt.conf.d").glob("*mmdebstrap*"):
        leftover.unlink()
    for leftover in (root / "etc/apt/sources.list.d").iterdir():
        leftover.unlink()
    for path, text in recipe.files(address=SOURCE, gateway=GATEWAY, root_uuid=tree.uuid).items():
        write(root, path, text)
    write(root, recipe.LEDGER_SCRIPT, Path(ledger.__file__).read_text(), 0o755)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    users = [f"useradd --create-home --shell /bin/bash {user}" for user in recipe.USERS]
    rootfs.run_in_tree(
        tree,
        "\n".join(
            [
                *users,
                "usermod --password '*' root",
                "usermod --append --groups sudo ada",
                "systemctl --quiet enable ledger.service serial-getty@ttyS0.service",
                f"systemctl --quiet mask {' '.join(recipe.MASKED_UNITS)}",
                "update-grub",
            ]
        ),
    )
    oddities.make_oddities(root, recipe.USERS)
    rootfs.run_in_tree(tree, _ATTRIBUTE_COMMANDS)


_ATTRIBUTE_COMMANDS = """
cd /srv/odd/attributes
echo rights > acl; setfacl -m u:linus:rw-,g:sudo:r--,m::rw- acl
mkdir acl-default; setfacl -d -m u:grace:rwx acl-default
cp /bin/true capable; setcap cap_net_bind_service,cap_net_raw+ep capable
"""


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
            progress("waiting for another process that builds the tree")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
