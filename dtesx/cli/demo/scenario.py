"""The road as a user walks it: every step is a call of the API that a command of dtesx makes too."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dtesx.base.errors import DtesxError
from dtesx.cli import contexts, session, watching
from dtesx.cli.api import Api
from dtesx.cli.demo import changes, comparing
from dtesx.cli.demo.report import ReplicaReport
from dtesx.cli.demo.runner import DemoStep, Say
from dtesx.cli.demo.site import Server, Ssh, Vcenter
from dtesx.cli.demo.ssh import Login
from dtesx.cli.formats import seconds, size
from dtesx.lab import ledger
from dtesx.model.api import FailoverRequest, NewServer, NewSnapshot, NewVmware
from dtesx.model.job import JobSpec, Operation, ReplicaSpec, Step, StepState

_NAME = "alpha"
_JOB = "alpha"
_VCENTER = "lab"
_LEDGER = str(ledger.LEDGER)
_BOOT_SECONDS = 240.0
_SHOWN = 20


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


@dataclass(frozen=True)
class Access:
    """Everything an administrator has at hand: the appliance, the vCenter, the server's token."""

    appliance: contexts.Context
    vcenter: Vcenter
    source_token: str


class Scenario:
    """One server is protected, changed, lost and recovered. ``steps`` are to be run in order."""

    def __init__(self, server: Server, access: Access, directory: Path, say: Say) -> None:
        self._say = say
        self._server = server
        self._access = access
        self._directory = directory
        self._api: Api = session.connect(access.appliance)
        self._mirrored_lines = 0
        self._checksums: dict[str, str] = {}
        self._host_keys = ""
        self._lost_at = 0.0
        self._login: Login | None = None
        self.replica = ReplicaReport()
        self.rto_seconds = 0.0

    def steps(self) -> tuple[DemoStep, ...]:
        """All steps."""
        return (
            DemoStep("login", "Log in to the appliance", self._log_in),
            DemoStep("server", f"Pair server {_NAME} with the appliance", self._pair),
            DemoStep("vmware", "Add the vCenter, its certificate pinned", self._add_vcenter),
            DemoStep("job", "Create the job: replica VM, disks, first mirror", self._create_job),
            DemoStep("ledger", f"Look at {_NAME}'s ledger", self._look_at_ledger),
            DemoStep("snapshot", "Take a recovery point (VMware snapshot)", self._take_snapshot),
            DemoStep("change", f"Change, add and delete files on {_NAME}", self._change),
            DemoStep("mirror", "Mirror again", self._mirror),
            DemoStep("checksums", f"Record the checksums of {_NAME}'s files", self._record),
            DemoStep("lose", f"Lose {_NAME}", self._lose),
            DemoStep("failover", "Fail over: start the replica", self._fail_over),
            DemoStep("ssh", "Log in to the replica over SSH", self._log_in_to_replica),
            DemoStep("verify-ledger", "Verify the ledger on the replica", self._verify_ledger),
            DemoStep("compare", f"Compare the replica with {_NAME}, file by file", self._compare),
        )

    @property
    def login_command(self) -> str:
        """How to log in to the replica; empty before it runs."""
        return self._login.command if self._login else ""

    def _log_in(self) -> str:
        status = self._api.status()
        contexts.remember(self._access.appliance, self._directory)
        return f"{status.hostname} at {self._access.appliance.url}"

    def _pair(self) -> str:
        info = self._api.add_server(NewServer(_NAME, self._server.address, self._access.source_token))
        inventory = self._api.inventory(_NAME).inventory
        used = sum(f.used_bytes for f in inventory.file_systems)
        return f"{info.hostname}: {inventory.os.pretty}, {size(used)} in use"

    def _add_vcenter(self) -> str:
        vcenter = self._access.vcenter
        info = self._api.add_vmware(
            NewVmware(
                name=_VCENTER,
                address=vcenter.address,
                port=vcenter.port,
                user=vcenter.user,
                password=vcenter.password,
                thumbprint=vcenter.thumbprint,
            )
        )
        return f"{info.about.product} {info.about.version}" if info.about else info.address

    def _create_job(self) -> str:
        vcenter = self._access.vcenter
        target = ReplicaSpec(datastore=vcenter.datastore, networks={"*": vcenter.network})
        job = self._api.create_job(JobSpec(_JOB, _NAME, _VCENTER, target))
        if job.operation is not None:
            self._follow(job.operation)
        return self._mirror_line()

    def _look_at_ledger(self) -> str:
        lines = self._ledger_of_server()
        return f"{len(lines)} lines, the last: {_short(lines[-1])}"

    def _take_snapshot(self) -> str:
        operation = self._api.take_snapshot(_JOB, NewSnapshot("before the change"))
        name = self._follow(operation).result.get("snapshot", "")
        kept = self._api.snapshots(_JOB)
        if not kept:
            raise DtesxError("the recovery point is not listed", hint="this is a bug in dtesx")
        return name or kept[-1].name

    def _change(self) -> str:
        self._server.run(["/bin/sh", "-c", changes.SCRIPT])
        return "content, length, mode, owner, names, links, a tree of new files"

    def _mirror(self) -> str:
        self._mirrored_lines = len(self._ledger_of_server())
        self._follow(self._api.mirror(_JOB))
        return self._mirror_line()

    def _record(self) -> str:
        output = self._server.run(["/bin/sh", "-c", comparing.checksum_script()], timeout=300).stdout
        self._checksums = comparing.parse(output)
        keys = self._server.run(["/bin/sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"])
        self._host_keys = keys.text
        return f"{len(self._checksums)} files below {' '.join(comparing.ROOTS)}"

    def _lose(self) -> str:
        lines = self._ledger_of_server()
        self._server.lose()
        self._lost_at = time.monotonic()
        return f"killed in the middle of its work, after ledger line {len(lines)}"

    def _fail_over(self) -> str:
        operation = self._api.failover(_JOB, FailoverRequest(final_mirror=False))
        address = self._follow(operation).result.get("address", "")
        self.replica = replace(self.replica, booted=True, address=address)
        return f"it reports the address {address}"

    def log_in_by(self, ssh: Ssh) -> None:
        """Tell how the replica is reached from here."""
        self._login = Login(ssh, host_keys=self._host_keys, directory=self._directory, name=_NAME)

    def _log_in_to_replica(self) -> str:
        login = self._logged_in()
        login.wait(
            timeout=_BOOT_SECONDS,
            on_wait=lambda waited: self._say(f"the machine boots ({waited:.0f} s)", min(0.95, waited / 60)),
        )
        self.rto_seconds = round(time.monotonic() - self._lost_at, 2)
        hostname = login.run("hostname").text.strip()
        self.replica = replace(self.replica, hostname=hostname)
        if hostname != _NAME:
            raise DtesxError(f"the replica calls itself {hostname!r}", hint=f"it should be {_NAME}")
        return f"host name {hostname}, {_NAME}'s own host key; RTO {seconds(self.rto_seconds)}"

    def _verify_ledger(self) -> str:
        text = self._logged_in().run(f"cat {_LEDGER}").text
        lines = text[: text.rfind("\n") + 1].splitlines()
        count = _verified(lines)
        self.replica = replace(self.replica, last_ledger_line=lines[-1] if lines else "", ledger_lines=count)
        if count < self._mirrored_lines:
            raise DtesxError(
                f"the ledger has {count} lines, but {self._mirrored_lines} were mirrored",
                hint="the replica lost data that it had acknowledged",
            )
        return f"{count} lines, unbroken; the last: {_short(lines[-1])}"

    def _compare(self) -> str:
        self._say("checksums are taken on the replica", -1.0)
        output = self._logged_in().run(comparing.checksum_script(), timeout=600).stdout
        found = comparing.compare(self._checksums, comparing.parse(output))
        self.replica = replace(
            self.replica,
            files_compared=found.compared,
            files_different=len(found.different),
            different=found.different[:_SHOWN],
            changed_on_purpose=found.on_purpose,
        )
        if found.different:
            raise DtesxError(
                f"{len(found.different)} of {found.compared} files differ: {', '.join(found.different[:5])}",
                hint="see replica.different in the report (--json)",
            )
        return f"{found.compared} files, all equal but {len(found.on_purpose)} changed on purpose"

    def _follow(self, operation: Operation) -> Operation:
        ended = watching.follow(self._api, operation, _JOB, _Progress(self._say))
        watching.conclude(ended, _JOB, again=f"dtesx job show {_JOB}")
        return ended

    def _mirror_line(self) -> str:
        stats = self._api.job(_JOB).mirror
        if stats is None:
            raise DtesxError("the job reports no mirror", hint="this is a bug in dtesx")
        return (
            f"{stats.files_sent} of {stats.files_total} files, {size(stats.bytes_sent)}"
            f" in {seconds(stats.seconds)}; {stats.orphans_removed} orphans removed"
        )

    def _ledger_of_server(self) -> list[str]:
        text = self._server.run(["cat", _LEDGER]).text
        return text[: text.rfind("\n") + 1].splitlines()

    def _logged_in(self) -> Login:
        if self._login is None:
            raise DtesxError("the replica was not started", hint="run the failover first")
        return self._login


def _verified(lines: Sequence[str]) -> int:
    try:
        return ledger.verify(lines)
    except ValueError as error:
        raise DtesxError(f"the replica's ledger is broken: {error}", hint="data got lost or mixed") from error


def _short(line: str) -> str:
    """A ledger line with its hash cut: ``17 1700000000 3f2a...``."""
    return f"{line[:-52]}..." if len(line) > 60 else line
