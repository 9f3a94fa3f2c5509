"""A whole site: vSphere, appliance and source up and connected; replicas start when the API says so."""

from __future__ import annotations

import secrets
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import Conflict, NotFound
from dtesx.base.files import private_directory
from dtesx.base.run import run
from dtesx.lab import appliance, leftovers, network, preflight, recipe, rootfs, source
from dtesx.lab.appliance import ApplianceMachine
from dtesx.lab.appliance_tree import appliance_tree
from dtesx.lab.claim import only_lab
from dtesx.lab.datastore import lab_datastore
from dtesx.lab.debian import BaseTree
from dtesx.lab.forward import Endpoint, Forwarder, LoopbackClaim
from dtesx.lab.guest import Surroundings
from dtesx.lab.guest_appliance import default_services as guest_services
from dtesx.lab.guest_appliance import guest_appliance
from dtesx.lab.hooks import HookServer
from dtesx.lab.kvm import kvm_works
from dtesx.lab.machine import Appliance, AttachedDisk, Machine, ReplicaHardware
from dtesx.lab.replica import QemuMachine
from dtesx.lab.shell import Shell, make_key
from dtesx.lab.simulator import Simulator, SimulatorConfig, SimulatorUser, build
from dtesx.lab.source import SourceMachine
from dtesx.lab.status import MachineStatus, SiteStatus, VcenterAccess
from dtesx.lab.tree import base_tree, copy_image, personalise
from dtesx.model.api import API_PORT
from dtesx.wire.identity import load_or_create

Progress = Callable[[str], None]

APPLIANCE_VM = "appliance"
VCENTER_USER = "administrator@vsphere.local"
_VCENTER_PORT = 443
_SSH_PORT = 22
_PARTS = ("source", "appliance", "machines", "simulator", "datastore", "datastore.img", "keys")


@dataclass(frozen=True)
class Ingredients:
    """What a site is made from; slow to make, so kept in the cache.

    ``appliance`` is the tree of an appliance that is a guest; without one it is a process group.
    """

    tree: BaseTree
    simulator: Path
    appliance: BaseTree | None = None


class Site:
    """A running site. Made by ``lab_site``; the hooks of the simulator act on it."""

    def __init__(
        self,
        *,
        directory: Path,
        net: network.Network,
        shell: Shell,
        kvm: Callable[[], bool],
        appliance: Appliance,
        source: SourceMachine,
    ) -> None:
        self.directory = directory
        self.network = net
        self.shell = shell
        self.appliance = appliance
        self.source = source
        self.appliance_vm = APPLIANCE_VM
        self.vcenter = VcenterAccess(
            network.VCENTER, _VCENTER_PORT, VCENTER_USER, secrets.token_urlsafe(12), ""
        )
        self.appliance_url = ""
        self.ssh_forward = Endpoint("", 0)
        self.simulator: Simulator | None = None
        self._kvm = kvm
        self._replicas: dict[str, QemuMachine] = {}
        self._lock = threading.Lock()  # of the dictionary only, never over anything slow

    @property
    def admin_token_file(self) -> Path:
        """The bearer token of the management API."""
        return self.appliance.published / "admin-token"

    @property
    def appliance_certificate_file(self) -> Path:
        """The management API's certificate (PEM), to be pinned."""
        return self.appliance.published / "identity.crt"

    @property
    def source_token_file(self) -> Path:
        """The source's one-time pairing token."""
        return self.source.token_file

    def replica(self, name: str) -> QemuMachine:
        """The machine behind a VM that was powered on; NotFound when there is none."""
        with self._lock:
            if name not in self._replicas:
                raise NotFound(f"no VM named {name} was powered on", hint="power it on through the API first")
            return self._replicas[name]

    def machines(self) -> tuple[Machine, ...]:
        """All machines of the site, on or off."""
        with self._lock:
            return (self.appliance, self.source, *self._replicas.values())

    def status(self) -> SiteStatus:
        """What is where, now."""
        return SiteStatus(
            directory=str(self.directory),
            machines=tuple(MachineStatus(m.name, m.alive(), m.address, str(m.log)) for m in self.machines()),
            vcenter=self.vcenter,
            appliance_vm=self.appliance_vm,
            appliance_url=self.appliance_url,
            appliance_certificate=str(self.appliance_certificate_file),
            admin_token_file=str(self.admin_token_file),
            source_address=self.source.address,
            source_token_file=str(self.source_token_file),
            ssh=self.shell.argv(network.SOURCE),
            ssh_key=str(self.shell.key),
            ssh_forward=str(self.ssh_forward),
        )

    def attach(self, vm: str, disk: AttachedDisk) -> None:
        """Hot-add to the appliance; Conflict for any other machine."""
        self._only_appliance(vm)
        self.appliance.attach(disk)

    def detach(self, vm: str, disk: AttachedDisk) -> None:
        """Hot-remove from the appliance; Conflict for any other machine."""
        self._only_appliance(vm)
        self.appliance.detach(disk)

    def power_on(self, hardware: ReplicaHardware) -> None:
        """Start a VM in QEMU, or the appliance as what it is."""
        if hardware.name == self.appliance_vm:
            if not self.appliance.alive():
                self.appliance.start()
            return
        self._new_replica(hardware).start()

    def power_off(self, vm: str) -> None:
        """End a VM at once; fine when it is off."""
        if vm == self.appliance_vm:
            self.appliance.stop()
            return
        with self._lock:
            machine = self._replicas.get(vm)
        if machine is not None:
            machine.stop()
            self._report_guest(vm, "", "")

    def stop_replicas(self) -> None:
        """End every VM that was powered on."""
        with self._lock:
            machines = list(self._replicas.values())
        for machine in machines:
            machine.stop()

    def _new_replica(self, hardware: ReplicaHardware) -> QemuMachine:
        """The machine behind a VM, in the place of the one that ran before, whose last parts it ends."""
        folder = network.interface_name("m", hardware.name)
        machine = QemuMachine(
            hardware,
            network=self.network,
            directory=self.directory / "machines" / folder,
            monitor=leftovers.runtime_directory(self.network.identity) / folder,
            shell=self.shell,
            kvm=self._kvm,
            found=self._report_guest,
        )
        with self._lock:
            old = self._replicas.get(hardware.name)
            if old is not None and old.alive():
                raise Conflict(f"machine {hardware.name} is on already", hint="power it off first")
            self._replicas[hardware.name] = machine
        if old is not None:
            old.stop()
        return machine

    def _report_guest(self, vm: str, address: str, hostname: str) -> None:
        if self.simulator is not None:
            self.simulator.set_guest(vm, address=address, hostname=hostname)

    def _only_appliance(self, vm: str) -> None:
        if vm != self.appliance_vm:
            raise Conflict(
                f"the lab adds and removes disks of the running {self.appliance_vm} only, not of {vm}",
                hint=f"power {vm} off first",
            )


@contextmanager
def lab_site(
    directory: Path,
    cache: Path,
    progress: Progress,
    *,
    guest: bool = False,
) -> Iterator[Site]:
    """Bring a fresh site up in ``directory``; everything of it is gone at the end but its logs.

    With ``guest`` the appliance is a machine in QEMU, ten times slower, but with LVM, udev and partitions.
    Raises UsageError when the host lacks something, Conflict when a lab runs in ``directory``.
    """
    preflight.check()
    directory = private_directory(directory).resolve()
    with ExitStack() as stack:
        stack.enter_context(only_lab(directory))
        leftovers.clear(directory)
        _remove_parts(directory)
        ingredients = prepare(cache, progress, guest=guest)
        stack.enter_context(_shared(directory))
        identity = leftovers.lab_identity(directory)
        runtime = private_directory(leftovers.runtime_directory(identity))
        stack.callback(shutil.rmtree, runtime, ignore_errors=True)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        kvm = pool.submit(kvm_works, cache, ingredients.tree.kernel)
        site = _assemble(stack, directory, ingredients, progress, kvm)
        _connect(stack, site, ingredients, progress)
        yield site


def prepare(cache: Path, progress: Progress, *, guest: bool = False) -> Ingredients:
    """Make what the cache lacks: trees and the simulator, both at once (1 to 3 minutes)."""
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as pool:
        simulator = pool.submit(build, cache / "simulator")
        tree = base_tree(cache, progress)
        if not simulator.done():
            progress("waiting for the vSphere simulator to be compiled (15 to 60 s, once)")
        own = appliance_tree(cache, progress) if guest else None
        return Ingredients(tree, simulator.result(), own)


def _assemble(
    stack: ExitStack,
    directory: Path,
    ingredients: Ingredients,
    progress: Progress,
    kvm: Future[bool],
) -> Site:
    """Network and machines, still off."""
    net = stack.enter_context(network.lab_network(leftovers.lab_identity(directory)))
    runtime = leftovers.runtime_directory(net.identity)
    key = make_key(private_directory(directory / "keys"))
    progress("copying the source's file system")
    image = private_directory(directory / "source") / "disk.img"
    stack.callback(image.unlink, missing_ok=True)
    copy_image(ingredients.tree, image)
    tree = stack.enter_context(rootfs.mounted_tree(image, directory / "source" / "root"))
    personalise(tree, key.with_suffix(".pub").read_text())
    return Site(
        directory=directory,
        net=net,
        shell=Shell(net.namespace, key),
        kvm=kvm.result,
        appliance=stack.enter_context(
            _appliance(directory / "appliance", ingredients, Surroundings(net, key, runtime, kvm.result))
        ),
        source=SourceMachine(
            net=net,
            directory=directory / "source",
            tree=tree,
            services=source.default_services(),
        ),
    )


@contextmanager
def _appliance(directory: Path, ingredients: Ingredients, surroundings: Surroundings) -> Iterator[Appliance]:
    identity = str(uuid.uuid4())
    if ingredients.appliance is None:
        yield ApplianceMachine(
            net=surroundings.network,
            directory=private_directory(directory),
            services=appliance.default_services(directory / "state"),
            uuid=identity,
        )
        return
    with guest_appliance(
        ingredients.appliance,
        surroundings=surroundings,
        directory=directory,
        services=guest_services(),
        uuid=identity,
    ) as machine:
        yield machine


def _connect(stack: ExitStack, site: Site, ingredients: Ingredients, progress: Progress) -> None:
    """Start the simulator, then the machines, then the forwards from the host."""
    runtime = leftovers.runtime_directory(site.network.identity)
    store = stack.enter_context(lab_datastore(site.directory))
    progress("starting the vSphere simulator")
    hooks = runtime / "hooks"
    stack.enter_context(HookServer(hooks, site))
    stack.callback(site.stop_replicas)
    site.simulator = stack.enter_context(
        _simulator(site, ingredients.simulator, store.path, hooks, runtime / "control")
    )
    progress("starting the appliance")
    stack.callback(site.appliance.stop)
    site.appliance.start()
    progress(f"starting the source {recipe.HOSTNAME}")
    stack.callback(site.source.stop)
    site.source.start()
    claim = stack.enter_context(LoopbackClaim())
    forwarder = stack.enter_context(Forwarder(site.network.namespace, claim.address))
    api = forwarder.forward(Endpoint(network.APPLIANCE, API_PORT), port=API_PORT)
    vcenter = forwarder.forward(Endpoint(network.VCENTER, _VCENTER_PORT), port=_VCENTER_PORT)
    site.ssh_forward = forwarder.forward(Endpoint(network.SOURCE, _SSH_PORT), port=_SSH_PORT)
    site.appliance_url = f"https://{api}"
    site.vcenter = VcenterAccess(
        network.VCENTER, _VCENTER_PORT, VCENTER_USER, site.vcenter.password, str(vcenter)
    )


def _simulator(site: Site, binary: Path, datastore: Path, hooks: Path, control: Path) -> Simulator:
    directory = private_directory(site.directory / "simulator")
    load_or_create(directory, "vcenter.lab")
    config = SimulatorConfig(
        address=site.vcenter.address,
        port=site.vcenter.port,
        datastore=datastore,
        certificate=directory / "identity.crt",
        key=directory / "identity.key",
        users=(SimulatorUser(site.vcenter.user, site.vcenter.password),),
        appliance_name=site.appliance_vm,
        appliance_uuid=site.appliance.uuid,
        control=control,
        hooks=hooks,
        netns=site.network.namespace,
    )
    return Simulator(binary, config, directory=directory)


@contextmanager
def _shared(directory: Path) -> Iterator[None]:
    """Make what is mounted below ``directory`` end everywhere when it ends here.

    A machine of another lab begins with copies of all mounts. Without this it would hold ours, and
    their loop devices, until it ends itself. Lazily undone: somebody may look at the logs in there.
    """
    run(["mount", "--bind", str(directory), str(directory)])
    # Private first: on a host whose / is shared (systemd's default) the new mount would be a peer of
    # the one below it, and each mount inside would appear twice.
    run(["mount", "--make-private", str(directory)])
    run(["mount", "--make-shared", str(directory)])
    try:
        yield
    finally:
        run(["umount", "--lazy", str(directory)])


def _remove_parts(directory: Path) -> None:
    for name in _PARTS:
        path = directory / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
