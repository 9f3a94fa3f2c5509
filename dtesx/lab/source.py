"""The source: a Debian tree on its own file system, entered by namespaces, running the source service."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import dtesx
from dtesx.base.errors import UsageError
from dtesx.lab import network, recipe, rootfs
from dtesx.lab.namespace_machine import NamespaceMachine
from dtesx.lab.serving import Service

MAC = "52:54:00:77:00:0b"
STATE = "/var/lib/dtesx/source"
_PACKAGE = "/opt/dtesx/package/dtesx"
_LIBRARIES = "/opt/dtesx/libraries"


class SourceMachine(NamespaceMachine):
    """The server that is protected. Its tree is mounted by whoever makes the machine."""

    def __init__(
        self,
        *,
        net: network.Network,
        directory: Path,
        tree: rootfs.MountedTree,
        services: tuple[Service, ...],
    ) -> None:
        super().__init__(
            "source",
            network=net,
            address=network.SOURCE,
            mac=MAC,
            directory=directory,
            services=services,
        )
        self.tree = tree

    @property
    def hostname(self) -> str:
        """As in the tree."""
        return recipe.HOSTNAME

    @property
    def token_file(self) -> Path:
        """The service's one-time pairing token, as the host sees it."""
        return self.tree.root / STATE.lstrip("/") / "token"

    def _script(self) -> str:
        check_python(self.tree.root)
        package = Path(dtesx.__file__).parent
        libraries = Path(sysconfig.get_path("purelib"))
        return rootfs.enter_script(self.tree, {package: _PACKAGE, libraries: _LIBRARIES})


def default_services() -> tuple[Service, ...]:
    """The ledger, the SSH server and dtesx's source service, run by the tree's own Python."""
    path = f"{Path(_PACKAGE).parent}:{_LIBRARIES}"
    service = ("python3", "-m", "dtesx", "service", "source", "--address", network.SOURCE, "--state", STATE)
    return (
        Service("ledger", ("python3", recipe.LEDGER_SCRIPT)),
        Service("sshd", ("/bin/sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e")),
        Service("source", service, "dtesx source ready", {"PYTHONPATH": path}),
    )


def check_python(root: Path) -> None:
    """Raise UsageError unless the tree's Python can load this environment's compiled packages."""
    ours = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not (root / "usr/bin" / ours).exists():
        found = ", ".join(sorted(p.name for p in (root / "usr/bin").glob("python3.*[0-9]"))) or "none"
        raise UsageError(
            f"the lab's Debian has {found}, but dtesx runs on {ours}",
            hint="make dtesx's virtual environment with the Python of Debian 12: python3.11 -m venv .venv",
        )
