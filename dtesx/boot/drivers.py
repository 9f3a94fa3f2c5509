"""The drivers of the replica's virtual hardware in its initramfs files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from dtesx.base.errors import DtesxError
from dtesx.base.run import run
from dtesx.boot import cpio
from dtesx.boot.cpio import Member
from dtesx.boot.initrd import Initrd, unpacked
from dtesx.boot.kernels import Kernel, module_name, parse_builtin, parse_dependencies, plain_name
from dtesx.boot.tree import Tree

REQUIRED = ("vmw_pvscsi", "sd_mod", "vmxnet3")
"""Controller, disk and card of every replica; sd_mod is absent where the source had no SCSI disk."""

_FOR_ROOT = frozenset({"vmw_pvscsi", "sd_mod"})

_COPIED = ("modules.order", "modules.builtin", "modules.builtin.modinfo")


def missing(initrd: Initrd, builtin: Iterable[str]) -> tuple[str, ...]:
    """The required drivers that are neither in the initramfs nor in the kernel."""
    present = {module_name(name) for name in initrd.members} | set(builtin)
    return tuple(name for name in REQUIRED if name not in present)


def check_builtin(tree: Tree, kernel: Kernel) -> None:
    """Raise DtesxError when a kernel that starts without initramfs cannot reach its disk."""
    absent = _FOR_ROOT.intersection(missing(Initrd({}), parse_builtin(tree.text(_builtin(kernel)))))
    if absent:
        raise DtesxError(
            f"kernel {kernel.version} has no initramfs and lacks {', '.join(sorted(absent))}",
            hint="make an initramfs on the source (update-initramfs -c, dracut) and mirror again",
        )


def _builtin(kernel: Kernel) -> str:
    return f"{kernel.modules}/modules.builtin"


def closure(wanted: Iterable[str], dependencies: dict[str, tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    """The files of modules and of all they need (modules.dep lists needs completely).

    Raises DtesxError when the kernel has no such module.
    """
    paths: dict[str, None] = {}
    for name in wanted:
        if name not in dependencies:
            raise DtesxError(
                f"the kernel has no driver {name}",
                hint="install the full kernel package on the source (not a cloud one) and mirror again",
            )
        path, needed = dependencies[name]
        paths |= dict.fromkeys((path, *needed))
    return tuple(paths)


def obtainable(tree: Tree, kernel: Kernel, initrd: Initrd) -> dict[str, str]:
    """The modules that the initramfs lacks: their files below the kernel's modules, by name in it.

    The missing drivers come with all they need. Raises DtesxError when one is nowhere.
    """
    names = missing(initrd, parse_builtin(tree.text(_builtin(kernel))))
    if not names:
        return {}
    dependencies = parse_dependencies(tree.text(f"{kernel.modules}/modules.dep"))
    prefix = modules_directory(initrd, kernel.version)
    present = {module_name(name) for name in initrd.members}
    paths = [path for path in closure(names, dependencies) if module_name(path) not in present]
    for path in paths:
        if not tree.is_file(f"{kernel.modules}/{path}"):
            raise _broken(f"{kernel.modules}/{path}")
    return {f"{prefix}/{plain_name(path)}": f"{kernel.modules}/{path}" for path in paths}


def additions(tree: Tree, kernel: Kernel, initrd: Initrd) -> tuple[tuple[str, ...], list[Member]]:
    """Names of the missing drivers, and the members that add them, their needs and a new index."""
    wanted = obtainable(tree, kernel, initrd)
    if not wanted:
        return (), []
    files = [cpio.regular(name, _content(tree, path)) for name, path in wanted.items()]
    prefix = modules_directory(initrd, kernel.version)
    files += _index(tree, kernel, prefix, [*initrd.files(prefix), *files])
    return missing(initrd, parse_builtin(tree.text(_builtin(kernel)))), files


def modules_directory(initrd: Initrd, version: str) -> str:
    """Where the initramfs keeps the kernel's modules: /lib may be a link, which must stay one."""
    for prefix in (f"usr/lib/modules/{version}", f"lib/modules/{version}"):
        if initrd.files(prefix):
            return prefix
    merged = "lib" not in initrd.members or initrd.members["lib"].mode & 0o170000 == 0o120000
    return f"usr/lib/modules/{version}" if merged else f"lib/modules/{version}"


def _content(tree: Tree, path: str) -> bytes:
    """A module, unpacked: what loads it in the initramfs need not know its compression."""
    data = unpacked(tree.read(path))
    if not data:
        raise _broken(path)
    return data


def _broken(path: str) -> DtesxError:
    return DtesxError(
        f"{path} of the replica is missing or empty",
        hint="reinstall the kernel on the source and mirror again",
    )


def _index(tree: Tree, kernel: Kernel, prefix: str, modules: Iterable[Member]) -> list[Member]:
    """modules.dep and its sisters for exactly the modules that the initramfs will hold."""
    with tempfile.TemporaryDirectory(prefix="dtesx-depmod-") as scratch:
        top = Path(scratch, "lib/modules", kernel.version)
        top.mkdir(parents=True)
        for name in _COPIED:
            (top / name).write_bytes(tree.read(f"{kernel.modules}/{name}"))
        for member in modules:
            if module_name(member.name):
                file = top / member.name.removeprefix(f"{prefix}/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(member.data)
        run(["depmod", "--basedir", scratch, kernel.version], hint="install kmod")
        made = sorted(path for path in top.iterdir() if path.name.startswith("modules."))
        return [cpio.regular(f"{prefix}/{path.name}", path.read_bytes()) for path in made]
