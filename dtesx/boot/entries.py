"""Boot loader entries in files, as Red Hat's GRUB reads them, with the arguments that they share.

Format: the Boot Loader Specification (uapi-group.org), and GRUB's environment block (the manual's
"Environment block": exactly 1024 bytes, filled with ``#``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dtesx.base.errors import DtesxError
from dtesx.boot import arguments
from dtesx.boot.arguments import Devices
from dtesx.boot.replica import Replica
from dtesx.boot.tree import Tree

_DIRECTORY = "/boot/loader/entries"
_ENVIRONMENTS = ("/boot/grub2/grubenv", "/boot/grub/grubenv")
_COMMAND_LINE = "/etc/kernel/cmdline"  # what kernel-install(8) gives the next kernel
_OPTIONS = re.compile(r"^options[ \t].*$", re.MULTILINE)
_SHARED = re.compile(r"^(kernelopts|tuned_params)=(.*)$", re.MULTILINE)
_LINUX = re.compile(r"^linux[ \t]+(\S+)", re.MULTILINE)
_BLOCK_BYTES = 1024


def paths(tree: Tree) -> tuple[str, ...]:
    """The entries of the replica."""
    return tuple(f"{_DIRECTORY}/{name}" for name in tree.names(_DIRECTORY) if name.endswith(".conf"))


def fix(replica: Replica) -> Sequence[str]:
    """Have all entries name the replica's devices; say which were changed."""
    tree, devices = replica.tree, replica.devices
    written = [path for path in paths(tree) if tree.write(path, repaired(tree.text(path), devices))]
    for path in _ENVIRONMENTS:
        if tree.is_file(path) and tree.write(path, repaired_block(tree.text(path), devices)):
            written.append(path)
    if tree.is_file(_COMMAND_LINE):
        line = arguments.in_text(tree.text(_COMMAND_LINE), devices)
        written += [_COMMAND_LINE] if tree.write(_COMMAND_LINE, line) else []
    return [f"{path}: kernel arguments corrected" for path in written]


def repaired(text: str, devices: Devices) -> str:
    """An entry whose arguments name the replica's devices (pure)."""
    return _OPTIONS.sub(lambda line: arguments.in_text(line[0], devices), text)


def repaired_block(text: str, devices: Devices) -> str:
    """An environment block whose arguments do (pure). Raises DtesxError when they have no room in it."""
    body = text.rstrip("#")
    new = _SHARED.sub(lambda line: f"{line[1]}={arguments.in_text(line[2], devices)}", body)
    if new == body:
        return text
    size = len(new.encode(errors="surrogateescape"))
    if size > _BLOCK_BYTES:
        raise DtesxError(
            "GRUB's environment block has no room for the replica's kernel arguments",
            hint="shorten kernelopts on the source (grub2-editenv), and mirror again",
        )
    return new + "#" * (_BLOCK_BYTES - size)


def usable(tree: Tree, images: Sequence[str]) -> bool:
    """Whether an entry starts an installed kernel (of ``images``, names of files)."""
    named = [match[1] for path in paths(tree) if (match := _LINUX.search(tree.text(path)))]
    return any(name.rsplit("/", 1)[-1] in images for name in named)
