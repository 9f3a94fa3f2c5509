"""The source and the appliance as process groups; the datastore."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtesx.base.errors import CommandFailed, Conflict, ConnectionFailed
from dtesx.base.retry import wait_until
from dtesx.base.run import run
from dtesx.lab import source
from dtesx.lab.appliance import ApplianceMachine
from dtesx.lab.datastore import lab_datastore
from dtesx.lab.debian import BaseTree
from dtesx.lab.ledger import verify
from dtesx.lab.machine import AttachedDisk
from dtesx.lab.network import Network
from dtesx.lab.rootfs import MountedTree, mounted_tree
from dtesx.lab.serving import Service
from dtesx.lab.source import SourceMachine
from dtesx.lab.tree import copy_image, personalise

pytestmark = pytest.mark.integration

UUID = "420f5f0a-1111-4222-8333-444455556666"
LEDGER = source.default_services()[0]
SERVICE = Service("service", ("/bin/sh", "-c", "echo it is ready; exec sleep 600"), "it is ready")


@pytest.fixture
def appliance(network: Network, tmp_path: Path) -> Iterator[ApplianceMachine]:
    machine = ApplianceMachine(net=network, directory=tmp_path / "appliance", services=(SERVICE,), uuid=UUID)
    machine.start()
    yield machine
    machine.stop()


@pytest.fixture
def root(tree: BaseTree, tmp_path: Path) -> Iterator[MountedTree]:
    copy_image(tree, tmp_path / "disk.img")
    with mounted_tree(tmp_path / "disk.img", tmp_path / "root") as mounted:
        personalise(mounted, "ssh-ed25519 AAAA test")
        yield mounted


@pytest.fixture
def disk(tmp_path: Path) -> AttachedDisk:
    path = tmp_path / "a-flat.vmdk"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    return AttachedDisk(path, "6000C291-aaaa-bbbb-cccc-ddddeeeeffff", 64 << 20, 0, 1)


def test_the_source_is_a_debian_server_with_its_own_disk(network: Network, root: MountedTree) -> None:
    machine = SourceMachine(net=network, directory=root.root.parent / "m", tree=root, services=(LEDGER,))
    machine.start()
    try:
        look = "hostname; findmnt -no SOURCE /; blkid -o value -s UUID /dev/sda; ip -br a show eth0"
        said = machine.run(["sh", "-ec", look]).text.splitlines()
        assert said[:3] == ["alpha", "/dev/sda", root.uuid]
        assert "10.77.0.11/24" in said[3]
        code = "import msgspec, dtesx.model; print(dtesx.__file__)"
        env = "PYTHONPATH=/opt/dtesx/package:/opt/dtesx/libraries"
        assert machine.run(["env", env, "python3", "-c", code]).text.startswith("/opt/dtesx/package/")
        with pytest.raises(CommandFailed):
            machine.run(["touch", "/opt/dtesx/package/dtesx/written"])
        assert not list((root.root / "opt/dtesx").iterdir())
    finally:
        machine.stop()


def test_a_lost_source_is_gone_at_once_and_its_ledger_is_whole(network: Network, root: MountedTree) -> None:
    machine = SourceMachine(net=network, directory=root.root.parent / "m", tree=root, services=(LEDGER,))
    machine.start()
    ledger = root.root / "srv/ledger/ledger.txt"
    try:
        assert wait_until(lambda: ledger.exists() and ledger.read_bytes().count(b"\n") > 3, timeout=10)
        machine.lose()
        assert not machine.alive()
        before = ledger.read_bytes()
        time.sleep(0.6)
        assert ledger.read_bytes() == before
        assert verify(before.decode().splitlines()) > 3
        assert "NO-CARRIER" in run(["ip", "-n", f"{network.namespace}-source", "link", "show", "eth0"]).text
        with pytest.raises(ConnectionFailed):
            machine.run(["true"])
    finally:
        machine.stop()


def test_a_source_that_powers_itself_off_leaves_the_network(network: Network, root: MountedTree) -> None:
    machine = SourceMachine(net=network, directory=root.root.parent / "m", tree=root, services=(LEDGER,))
    machine.start()
    show = ["ip", "-n", f"{network.namespace}-source", "link", "show", "eth0"]
    try:
        assert "NO-CARRIER" not in run(show).text
        machine.run(["poweroff", "--force"], ok=range(256))
        assert wait_until(lambda: not machine.alive(), timeout=10)
        assert wait_until(lambda: "NO-CARRIER" in run(show).text, timeout=10)
    finally:
        machine.stop()


def test_two_copies_of_the_tree_share_no_identity(tree: BaseTree, root: MountedTree, tmp_path: Path) -> None:
    copy_image(tree, tmp_path / "second.img")
    with mounted_tree(tmp_path / "second.img", tmp_path / "second") as other:
        personalise(other, "ssh-ed25519 AAAA test")
        for path in ("etc/machine-id", "etc/ssh/ssh_host_ed25519_key"):
            assert (root.root / path).read_bytes() != (other.root / path).read_bytes()


def test_the_tree_has_what_copies_get_wrong(root: MountedTree) -> None:
    odd = root.root / "srv/odd"
    assert os.fsencode(b"latin1-\xe9\xe8.txt") in os.listdir(os.fsencode(odd / "names"))
    assert (odd / "links/one").stat().st_nlink == 3
    sparse = (odd / "holes/sparse.img").stat()
    assert sparse.st_blocks * 512 < 1 << 20 < sparse.st_size
    assert (odd / "specials/fifo").is_fifo()
    assert (odd / "specials/socket").is_socket()
    assert (odd / "specials/disk").is_block_device()
    assert (odd / "specials/setuid").stat().st_mode & 0o7777 == 0o4755
    assert os.getxattr(odd / "attributes/xattr", "trusted.note") == b"for root only"
    assert os.getxattr(odd / "attributes/capable", "security.capability")
    assert os.getxattr(odd / "attributes/acl", "system.posix_acl_access")
    assert os.getxattr(odd / "attributes/acl-default", "system.posix_acl_default")
    assert (root.root / "home/ada/notes.txt").stat().st_uid >= 1000
    menu = (root.root / "boot/grub/grub.cfg").read_text()
    assert f"root=UUID={root.uuid}" in menu
    assert "console=ttyS0" in menu


def test_disks_come_and_go_in_the_appliance_only(appliance: ApplianceMachine, disk: AttachedDisk) -> None:
    device = appliance.attach(disk)
    assert appliance.attach(disk) == device
    link = f"/dev/disk/by-id/wwn-0x{disk.wwn}"
    assert appliance.run(["readlink", "-f", link]).text.strip() == str(device)
    assert not Path(link).exists()
    assert appliance.run(["blockdev", "--getsize64", link]).text.strip() == str(disk.size)
    appliance.run(["sh", "-c", f"echo written in the appliance | dd of={link} conv=fsync status=none"])
    appliance.detach(disk)
    appliance.detach(disk)
    assert disk.file.read_bytes().startswith(b"written in the appliance")
    assert appliance.run(["test", "-e", link], ok=(1,)).status == 1
    assert not Path(f"/sys/block/{device.name}/loop").exists()


def test_a_mounted_disk_stays_attached(
    appliance: ApplianceMachine, disk: AttachedDisk, tmp_path: Path
) -> None:
    device = appliance.attach(disk)
    where = tmp_path / "mnt"
    where.mkdir()
    appliance.run(["mkfs.ext4", "-q", "-F", str(device)])
    appliance.run(["mount", str(device), str(where)])
    with pytest.raises(Conflict, match="in use"):
        appliance.detach(disk)
    assert appliance.run(["test", "-e", f"/dev/disk/by-id/wwn-0x{disk.wwn}"]).status == 0
    appliance.run(["umount", str(where)])
    appliance.detach(disk)
    assert appliance.disks() == {}


def test_the_appliance_knows_which_vm_it_is(appliance: ApplianceMachine) -> None:
    assert appliance.run(["cat", "/sys/class/dmi/id/product_uuid"]).text.strip() == UUID
    assert appliance.run(["cat", "/sys/class/net/eth0/address"]).text.strip() == "52:54:00:77:00:0a"
    assert appliance.run(["hostname"]).text.strip() == "appliance"


def test_a_disk_with_partition_devices_on_it_is_in_use(
    appliance: ApplianceMachine, disk: AttachedDisk
) -> None:
    device = appliance.attach(disk)
    argv = ["losetup", "--find", "--show", "--offset", "1048576", str(device)]
    partition = Path(appliance.run(argv).text.strip())
    with pytest.raises(Conflict, match="in use"):
        appliance.detach(disk)
    appliance.stop()
    for loop in (partition, device):
        assert not Path(f"/sys/block/{loop.name}/loop").exists()


def test_mounts_and_disks_of_the_appliance_end_with_it(
    appliance: ApplianceMachine, disk: AttachedDisk, tmp_path: Path
) -> None:
    device = appliance.attach(disk)
    where = tmp_path / "mnt"
    where.mkdir()
    appliance.run(["mkfs.ext4", "-q", "-F", str(device)])
    appliance.run(["mount", str(device), str(where)])
    assert not os.path.ismount(where)
    appliance.stop()
    assert not Path(f"/sys/block/{device.name}/loop").exists()
    with pytest.raises(ConnectionFailed, match="it is off"):
        appliance.attach(disk)


def test_a_killed_service_starts_again_while_the_machine_stays(appliance: ApplianceMachine) -> None:
    init = appliance.pid
    assert appliance.service_alive("service")
    appliance.stop_service("service", patience=0)
    assert not appliance.service_alive("service")
    appliance.start_service("service")
    assert appliance.service_alive("service")
    assert appliance.pid == init


def test_a_service_that_cannot_start_says_why(network: Network, tmp_path: Path) -> None:
    broken = Service("broken", ("/bin/sh", "-c", "echo no such database; exit 3"), "ready")
    machine = ApplianceMachine(net=network, directory=tmp_path / "appliance", services=(broken,), uuid=UUID)
    with pytest.raises(ConnectionFailed, match="no such database"):
        machine.start()
    assert not machine.alive()


def test_the_datastore_makes_reflinks_and_leaves_nothing(tmp_path: Path) -> None:
    with lab_datastore(tmp_path, size=1 << 30) as store:
        assert store.reflink
        (store.path / "a").write_bytes(os.urandom(1 << 20))
        run(["cp", "--reflink=always", str(store.path / "a"), str(store.path / "b")])
    assert not os.path.ismount(tmp_path / "datastore")
    assert not (tmp_path / "datastore.img").exists()


def test_deleting_a_disk_leaves_the_image_of_the_datastore_alone(tmp_path: Path) -> None:
    image = tmp_path / "datastore.img"
    with lab_datastore(tmp_path, size=1 << 30) as store:
        disk = store.path / "a-flat.vmdk"
        disk.write_bytes(bytes(64 << 20))
        run(["sync", "--file-system", str(disk)])
        before = image.stat().st_blocks
        disk.unlink()
        # A freeze ends what XFS does in the background, such as freeing the blocks of deleted files.
        run(["fsfreeze", "--freeze", str(store.path)])
        run(["fsfreeze", "--unfreeze", str(store.path)])
        assert image.stat().st_blocks >= before > (64 << 20) // 512


def test_a_mount_in_the_lab_appears_once_where_the_host_shares_its_root(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dtesx.base.run import run; from dtesx.lab import site\n"
        "where = Path(sys.argv[1])\n"
        "with site._shared(where):\n"
        "    (where / 'x').mkdir(); run(['mount', '-t', 'tmpfs', 'x', str(where / 'x')])\n"
        "    print(Path('/proc/self/mountinfo').read_text().count(f' {where}/x '))\n"
        "    run(['umount', str(where / 'x')])\n"
    )
    script = 'mount --make-rshared / && exec "$@"'
    inside = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    assert run([*inside, sys.executable, "-c", code, str(tmp_path)]).text == "1\n"
