"""The files that configure a network, as text by path."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dtesx.boot.tree import Tree
from dtesx.model.replica import AddressSpec

Files = Mapping[str, str]
"""Contents by path; a masked file (a link to /dev/null) is there and empty."""

Readdress = Callable[[Files, str, AddressSpec], Files | None]
"""Gives an interface other addresses; None when the stack has nothing about the interface."""


class Unwritable(Exception):
    """A file is written in a way that cannot be changed here; the text says why."""


NETPLAN = "/etc/netplan"
KEYFILES = "/etc/NetworkManager/system-connections"
IFCFG = "/etc/sysconfig/network-scripts"
WICKED = "/etc/sysconfig/network"
INTERFACES = "/etc/network/interfaces"
NETWORKD = "/etc/systemd/network"
RULES = "/etc/udev/rules.d"
RESOLVER = "/etc/resolv.conf"
HOSTS = "/etc/hosts"

_DIRECTORIES = (NETPLAN, KEYFILES, IFCFG, WICKED, f"{INTERFACES}.d", NETWORKD, RULES)
_FILES = (INTERFACES, "/etc/sysconfig/network", RESOLVER, HOSTS)


def read(tree: Tree) -> dict[str, str]:
    """All files of the known stacks in a replica. A linked resolv.conf is a daemon's and left out."""
    paths = [f"{directory}/{name}" for directory in _DIRECTORIES for name in tree.names(directory)]
    found = {path: tree.text(path) for path in paths if not tree.is_directory(path)}
    found |= {path: tree.text(path) for path in _FILES if tree.is_file(path)}
    if tree.resolve(RESOLVER) != tree.root / RESOLVER.lstrip("/"):
        found.pop(RESOLVER, None)
    return found


def write(tree: Tree, before: Files, after: Files) -> tuple[str, ...]:
    """Bring the tree from one state to the other; the paths that this changed."""
    changed = [path for path, text in after.items() if before.get(path) != text]
    for path in changed:
        tree.write(path, after[path], mode=0o600 if path.startswith((KEYFILES, NETPLAN)) else 0o644)
    gone = [path for path in before if path not in after]
    for path in gone:
        tree.remove(path)
    return tuple(sorted([*changed, *gone]))


def below(files: Files, directory: str, *endings: str) -> tuple[str, ...]:
    """The paths of the files directly in a directory, sorted; with ``endings``, those that end so."""
    found = (path for path in files if path.rpartition("/")[0] == directory)
    return tuple(sorted(path for path in found if not endings or path.endswith(endings)))
