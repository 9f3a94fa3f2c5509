"""The disk of a guest: a copy of the appliance's tree that is a machine of its own, with dtesx in it."""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from pathlib import Path

import dtesx
from dtesx.base.run import run
from dtesx.lab import rootfs
from dtesx.lab.debian import BaseTree
from dtesx.lab.network import GATEWAY
from dtesx.lab.source import check_python
from dtesx.lab.tree import copy_image, personalise, write

_LIBRARIES = "usr/local/lib/python3.11/dist-packages"

_INTERFACES = """auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address {address}/24
    gateway {gateway}
"""


def make_image(
    tree: BaseTree,
    image: Path,
    *,
    public_key: str,
    hostname: str,
    address: str,
    packages: Sequence[Path] = (),
) -> None:
    """Copy the tree to ``image`` and settle the copy: keys, name, address, dtesx and all it needs.

    ``packages`` are further Python packages of the host that its Python shall find.
    """
    copy_image(tree, image)
    with rootfs.mounted_tree(image, image.parent / "root") as mounted:
        personalise(mounted, public_key)
        settle(mounted.root, hostname=hostname, address=address)
        install(mounted.root, packages)


def settle(root: Path, *, hostname: str, address: str) -> None:
    """Give the machine whose root is at ``root`` a name and a fixed address."""
    write(root, "/etc/hostname", f"{hostname}\n")
    write(root, "/etc/hosts", f"127.0.0.1\tlocalhost\n{address}\t{hostname}\n::1\tlocalhost\n")
    write(root, "/etc/network/interfaces", _INTERFACES.format(address=address, gateway=GATEWAY))


def install(root: Path, packages: Sequence[Path] = ()) -> None:
    """Put dtesx, this environment's libraries and ``packages`` where the Python of a tree finds them."""
    check_python(root)
    libraries = root / _LIBRARIES
    libraries.mkdir(parents=True, exist_ok=True)
    run(["cp", "--archive", f"{sysconfig.get_path('purelib')}/.", str(libraries)])
    for hook in libraries.glob("*.pth"):
        hook.unlink()  # they would run at every start, and lead to places of the host
    for package in (Path(dtesx.__file__).parent, *packages):
        run(["cp", "--archive", str(package), str(libraries)])
