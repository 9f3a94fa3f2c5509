"""Every kernel's initramfs gets what the replica needs, by appending to it."""

from __future__ import annotations

from collections.abc import Sequence

from dtesx.base.errors import DtesxError
from dtesx.base.log import get_logger
from dtesx.boot import drivers, embedded, initrd, kernels, resume
from dtesx.boot.kernels import Kernel
from dtesx.boot.replica import Replica

log = get_logger(__name__)


def fix(replica: Replica) -> Sequence[str]:
    """Look into each initramfs and append what is missing.

    Raises DtesxError when not a single kernel could be made ready; kernels that could not, beside
    others that could, are named in the changes.
    """
    found = kernels.installed(replica.tree)
    if not found:
        raise DtesxError(
            "the replica has no kernel in /boot",
            hint="install a kernel package on the source (containers have none) and mirror again",
        )
    changes: list[str] = []
    failures: list[DtesxError] = []
    for kernel in found:
        try:
            changes += _fix_one(replica, kernel)
        except DtesxError as error:
            log.warning("kernel not ready for the replica", kernel=kernel.version, reason=error.message)
            failures.append(error)
            changes.append(f"kernel {kernel.version} will not start here: {error.message}")
    if len(failures) == len(found):
        raise failures[0]
    return changes


def _fix_one(replica: Replica, kernel: Kernel) -> Sequence[str]:
    if not kernel.initrd:
        drivers.check_builtin(replica.tree, kernel)
        return ()
    data = replica.tree.read(kernel.initrd)
    content = initrd.read(data)
    names, members = drivers.additions(replica.tree, kernel, content)
    override = resume.additions(replica, content)
    corrected = embedded.corrections(content, replica.devices)
    if not (members or override or corrected):
        return ()
    replica.tree.write(kernel.initrd, initrd.append(data, content, [*members, *override, *corrected]))
    where = f"initramfs {kernel.version}"
    return [
        *([f"{where}: {', '.join(names)} added"] if names else []),
        *([f"{where}: resume device corrected"] if override else []),
        *(f"{where}: {member.name} corrected" for member in corrected),
    ]
