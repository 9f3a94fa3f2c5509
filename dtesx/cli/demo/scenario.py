"""The road as a user walks it: every step is a call of the API that a command of dtesx makes too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from dtesx.base.errors import DtesxError, Interrupted
from dtesx.base.run import Completed
from dtesx.cli import contexts, jobfile, session, watching
from dtesx.cli.api import Api
from dtesx.cli.demo import changes, comparing
from dtesx.cli.demo.lab import SERVER, DemoLab, Places
from dtesx.cli.demo.report import CheckFailed, ReplicaReport
from dtesx.cli.demo.runner import DemoStep, Say
from dtesx.cli.formats import seconds, size
from dtesx.lab import ledger
from dtesx.model.api import FailoverRequest, NewServer, NewSnapshot, NewVmware
from dtesx.model.job import Operation, Step, StepState
from dtesx.vsphere.trust import presented_thumbprint

_VCENTER = "lab"
_LEDGER = str(ledger.LEDGER)
_BOOT_SECONDS = 240.0
_USUAL_BOOT_SECONDS = 60.0
_SHOWN = 20

_JOB_FILE = """\
name: {server}
source: {server}
vmware: {vcenter}
replica:
  datastore: {datastore}
  sockets: 2
  cores_per_socket: 1
  memory_mib: 1024
"""


class Shell(Protocol):
    """A way to log in to the server, later to its replica."""

    @property
    def argv(self) -> tuple[str, ...]:
        """What to type."""

    def run(self, script: str, *, timeout: float = 120.0) -> Completed:
        """Run a shell script."""

    def wait(self, *, timeout: float, on_wait: Callable[[float], None]) -> None:
        """Wait until a login works."""


class Scenario:
    """One server is protected, changed, lost and recovered. ``steps`` are to be run in order."""

    def __init__(self, lab: DemoLab, say: Say) -> None:
        self._lab = lab
        self._say = say
        self._api: Api = session.connect(lab.context())
        self._login: Shell = lab.login()
        self._mirrored: list[str] = []
        self._before = comparing.Observed()
        self._lost_at = 0.0
        self.replica = ReplicaReport()
        self.rto_seconds = 0.0

    def log_in(self) -> str:
        """Pin the appliance's certificate and keep its token."""
        context = self._lab.context()
        contexts.remember(context, self._lab.places.demo)
        return f"{self._api.status().hostname} at {context.url}"

    def pair(self) -> str:
        """Pair the server by its one-time token, then ask what it is made of."""
        info = self._api.add_server(NewServer(SERVER, self._lab.server_address, self._lab.server_token()))
        inventory = self._api.inventory(SERVER).inventory
        used = sum(f.used_bytes for f in inventory.file_systems)
        return f"{info.hostname}: {inventory.os.pretty}, {size(used)} in use"

    def add_vcenter(self) -> str:
        """Add the vCenter with the thumbprint that it shows to us too."""
        vcenter = self._lab.vcenter
        address, _, port = vcenter.forward.rpartition(":")
        info = self._api.add_vmware(
            NewVmware(
                name=_VCENTER,
                address=vcenter.address,
                port=vcenter.port,
                user=vcenter.user,
                password=vcenter.password,
                thumbprint=presented_thumbprint(address, int(port)),
                appliance_vm=self._lab.status.appliance_vm,
            )
        )
        about = self._api.vmware_details(info.name).about
        return f"{about.product} {about.version}" if about else info.address

    def create_job(self) -> str:
        """Write the job file, create the job, follow it until the server is protected."""
        datastore = self._api.vmware_details(_VCENTER).datastores[0].name
        file = self._lab.places.demo / "job.yaml"
        file.write_text(_JOB_FILE.format(server=SERVER, vcenter=_VCENTER, datastore=datastore))
        job = self._api.create_job(jobfile.load(file))
        if job.operation is not None:
            self._follow(job.operation)
        return self._mirror_line()

    def look_at_ledger(self) -> str:
        """What the server does all the time."""
        lines = self._ledger()
        return f"{len(lines)} lines, the last: {_short(lines[-1])}"

    def take_snapshot(self) -> str:
        """Take a recovery point and see that it is kept."""
        self._follow(self._api.take_snapshot(SERVER, NewSnapshot("before the change")))
        kept = self._api.snapshots(SERVER)
        if not kept:
            raise CheckFailed("the recovery point is not listed", hint="this is a bug in dtesx")
        return kept[-1].name

    def change(self) -> str:
        """Change the server as users do."""
        self._login.run(changes.SCRIPT)
        return "contents, lengths, modes, owners, names, links, 200 new files"

    def mirror(self) -> str:
        """Mirror again."""
        self._mirrored = self._ledger()
        self._follow(self._api.mirror(SERVER))
        return self._mirror_line()

    def record(self) -> str:
        """Remember what every file of the server holds, and its metadata."""
        self._before = comparing.parse(self._login.run(comparing.SCRIPT, timeout=300).stdout)
        files, entries = len(self._before.contents), len(self._before.entries)
        return f"{files} files, metadata of {entries} entries, in {' '.join(comparing.ROOTS)}"

    def lose(self) -> str:
        """The server is gone."""
        lines = self._ledger()
        self._lost_at = time.monotonic()
        self._lab.lose_server()
        return f"killed in the middle of its work, after ledger line {len(lines)}"

    def fail_over(self) -> str:
        """Start the replica; without a final mirror, as there is nothing to mirror from."""
        operation = self._follow(self._api.failover(SERVER, FailoverRequest(final_mirror=False)))
        address = operation.result.get("address", "")
        self.replica = replace(self.replica, address=address)
        return f"the replica has the address {address}"

    def log_in_to_replica(self) -> str:
        """Log in as before: same address, same key, same host key."""
        self._login.wait(
            timeout=_BOOT_SECONDS,
            on_wait=lambda waited: self._say(
                f"the machine boots ({waited:.0f} s)", min(0.95, waited / _USUAL_BOOT_SECONDS)
            ),
        )
        self.rto_seconds = round(time.monotonic() - self._lost_at, 2)
        hostname = self._login.run("hostname").text.strip()
        self.replica = replace(self.replica, booted=True, hostname=hostname)
        if hostname != SERVER:
            raise CheckFailed(f"the replica calls itself {hostname!r}", hint=f"it should be {SERVER}")
        return f"host name {hostname}, {SERVER}'s SSH host key; RTO {seconds(self.rto_seconds)}"

    def verify_ledger(self) -> str:
        """Every line up to the last mirror is there, and the chain goes on from it."""
        lines = self._ledger()
        count = _verified(lines)
        self.replica = replace(self.replica, last_ledger_line=lines[-1] if lines else "", ledger_lines=count)
        if lines[: len(self._mirrored)] != self._mirrored:
            raise CheckFailed(
                f"the replica's ledger does not hold the {len(self._mirrored)} lines that were mirrored",
                hint="the replica lost data that it had acknowledged",
            )
        return f"{count} lines, the chain is whole; the last: {_short(lines[-1])}"

    def compare(self) -> str:
        """Compare every recorded file, and find files that should not be there."""
        after = comparing.parse(self._login.run(comparing.SCRIPT, timeout=600).stdout)
        files = comparing.compare(self._before.contents, after.contents)
        entries = comparing.compare(self._before.entries, after.entries)
        different = sorted({*files.different, *entries.different})
        purposes = files.on_purpose | entries.on_purpose
        self.replica = replace(
            self.replica,
            files_compared=files.compared,
            files_different=len(files.different),
            entries_compared=entries.compared,
            entries_different=len(entries.different),
            different=tuple(different[:_SHOWN]),
            changed_on_purpose=purposes,
        )
        if different:
            raise CheckFailed(
                f"{len(files.different)} of {files.compared} files differ,"
                f" and {len(entries.different)} of {entries.compared} entries by metadata:"
                f" {', '.join(different[:5])}",
                hint="--json lists them as replica.different",
            )
        return (
            f"{files.compared} files and the metadata of {entries.compared} entries,"
            f" equal but for {len(purposes)} changed on purpose"
        )

    @property
    def login_command(self) -> tuple[str, ...]:
        """How to log in to the replica."""
        return self._login.argv

    def _follow(self, operation: Operation) -> Operation:
        try:
            ended = watching.follow(self._api, operation, SERVER, _Progress(self._say))
        except Interrupted:
            raise KeyboardInterrupt from None
        watching.conclude(ended, SERVER, again=f"dtesx job show {SERVER}")
        return ended

    def _mirror_line(self) -> str:
        stats = self._api.job(SERVER).mirror
        if stats is None:
            raise DtesxError("the job reports no mirror", hint="this is a bug in dtesx")
        return (
            f"{stats.files_sent} of {stats.files_total} files, {size(stats.bytes_sent)}"
            f" in {seconds(stats.seconds)}; {stats.orphans_removed} orphans removed"
        )

    def _ledger(self) -> list[str]:
        text = self._login.run(f"cat {_LEDGER}").text
        lines = text[: text.rfind("\n") + 1].splitlines()
        if not lines:
            raise DtesxError("the ledger is empty", hint=f"its service should write {_LEDGER}")
        return lines


class _Progress:
    """Shows an operation's running step as the progress of a step of the demo."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def show(self, title: str, steps: Sequence[Step]) -> None:  # noqa: ARG002
        done = sum(step.state is StepState.DONE for step in steps)
        for step in steps:
            if step.state is StepState.RUNNING:
                line = f"{step.title}: {step.detail}" if step.detail else step.title
                self._say(line, (done + max(0.0, step.fraction)) / len(steps))

    def close(self) -> None:
        """Nothing to end."""


class Demo:
    """The list of steps around a scenario, which exists as soon as the lab is up."""

    def __init__(self, places: Places, say: Say, open_lab: Callable[[Places, Say], DemoLab]) -> None:
        self.places = places
        self._say = say
        self._open_lab = open_lab
        self.scenario: Scenario | None = None

    def steps(self) -> tuple[DemoStep, ...]:
        """All steps but the last, which takes the lab down."""
        return (
            DemoStep("lab", f"Bring the lab up: vCenter, appliance, server {SERVER}", self._bring_up),
            self._step("login", "Log in to the appliance", Scenario.log_in),
            self._step("server", f"Pair server {SERVER} with the appliance", Scenario.pair),
            self._step("vmware", "Add the vCenter, its certificate pinned", Scenario.add_vcenter),
            self._step("job", "Create the job: replica VM, disks, first mirror", Scenario.create_job),
            self._step("ledger", f"Look at {SERVER}'s ledger", Scenario.look_at_ledger),
            self._step("snapshot", "Take a recovery point (VMware snapshot)", Scenario.take_snapshot),
            self._step("change", f"Change, add and delete files on {SERVER}", Scenario.change),
            self._step("mirror", "Mirror again", Scenario.mirror),
            self._step("checksums", f"Record the checksums of {SERVER}'s files", Scenario.record),
            self._step("lose", f"Lose {SERVER}", Scenario.lose),
            self._step("failover", "Fail over: start the replica", Scenario.fail_over),
            self._step("ssh", "Log in to the replica over SSH", Scenario.log_in_to_replica),
            self._step("verify-ledger", "Verify the ledger on the replica", Scenario.verify_ledger),
            self._step("compare", f"Compare the replica with {SERVER}, file by file", Scenario.compare),
        )

    def _bring_up(self) -> str:
        lab = self._open_lab(self.places, self._say)
        self.scenario = Scenario(lab, self._say)
        return f"in {self.places.lab}"

    def _step(self, name: str, title: str, action: Callable[[Scenario], str]) -> DemoStep:
        def act() -> str:
            assert self.scenario is not None, "the lab comes first"
            return action(self.scenario)

        return DemoStep(name, title, act)


def _verified(lines: Sequence[str]) -> int:
    try:
        return ledger.verify(lines)
    except ValueError as error:
        raise CheckFailed(
            f"the replica's ledger is broken: {error}", hint="data got lost or mixed"
        ) from error


def _short(line: str) -> str:
    """A ledger line with its hash cut: ``17 1700000000 3f2a...``."""
    return f"{line[:-52]}..." if len(line) > 60 else line
