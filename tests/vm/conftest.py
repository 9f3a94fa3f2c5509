"""One emulated appliance for all tests that need LVM, udev or a file system the host's kernel lacks."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtesx.base.files import private_directory
from dtesx.lab import leftovers
from dtesx.lab.appliance_tree import appliance_tree
from dtesx.lab.guest import Surroundings
from dtesx.lab.guest_appliance import GuestAppliance, guest_appliance
from dtesx.lab.kvm import kvm_works
from dtesx.lab.machine import AttachedDisk
from dtesx.lab.network import lab_network
from dtesx.lab.serving import Service
from dtesx.lab.shell import make_key

TESTS = Path(__file__).parents[1]
CACHE = TESTS.parent / ".cache"
SERVICE = Service("service", ("/bin/sh", "-c", "echo it is ready; exec sleep 6000"), "it is ready")

NewDisk = Callable[..., AttachedDisk]


@pytest.fixture(scope="session")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestAppliance]:
    """It has dtesx and these tests where its Python finds them; ``python`` and ``run`` work in it as root."""
    directory = tmp_path_factory.mktemp("guest")
    tree = appliance_tree(CACHE, print)
    identity = leftovers.lab_identity(directory)
    runtime = private_directory(leftovers.runtime_directory(identity))
    try:
        with lab_network(identity) as network:
            surroundings = Surroundings(
                network, make_key(directory), runtime, lambda: kvm_works(CACHE, tree.kernel)
            )
            with guest_appliance(
                tree,
                surroundings=surroundings,
                directory=directory,
                services=(SERVICE,),
                uuid=str(uuid.uuid4()),
                packages=(TESTS,),
            ) as machine:
                machine.start()
                yield machine
    finally:
        shutil.rmtree(runtime)


@pytest.fixture
def new_disk(guest: GuestAppliance, tmp_path: Path) -> Iterator[NewDisk]:
    """Blank virtual disks for the guest, which must be free of them at the end of the test."""
    made: list[AttachedDisk] = []

    def make(mib: int, *, controller: int = 0) -> AttachedDisk:
        file = tmp_path / f"disk{len(made)}-flat.vmdk"
        with file.open("wb") as out:
            out.truncate(mib << 20)
        name = f"6000C29{uuid.uuid4().hex[7:]}"
        disk = AttachedDisk(file, name, mib << 20, controller, 8 + len(made))
        made.append(disk)
        return disk

    yield make
    for disk in made:
        guest.detach(disk)
        disk.file.unlink()
