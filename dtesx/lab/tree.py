"""The source's file system: a plain Debian 12 server with what copies get wrong; a copy for each lab."""

from __future__ import annotations

import secrets
from pathlib import Path

from dtesx.base.run import run
from dtesx.lab import debian, ledger, oddities, recipe, rootfs
from dtesx.lab.debian import BaseTree, Progress
from dtesx.lab.network import GATEWAY, SOURCE


def base_tree(cache: Path, progress: Progress) -> BaseTree:
    """The tree for today's recipe, built when the cache lacks it (1 to 3 minutes, about 1 GB)."""
    return debian.built(cache, _recipe(), progress)


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


def _recipe() -> debian.Recipe:
    return debian.Recipe(
        name="tree",
        label=recipe.ROOT_LABEL,
        packages=recipe.PACKAGES,
        excludes=recipe.PATH_EXCLUDES,
        includes=recipe.PATH_INCLUDES,
        configure=_configure,
        decided_by=(__file__, recipe.__file__, oddities.__file__, ledger.__file__),
    )


def _configure(tree: rootfs.MountedTree) -> None:
    root = tree.root
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
