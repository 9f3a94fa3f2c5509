"""What a validation, or a check of a replica, finds: one verdict for each thing that was looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """What is looked at; the values are the ids of findings."""

    JOB_NAME = "job-name"
    SOURCE = "source"
    SOURCE_VERSION = "source-version"
    SOURCE_READ = "source-read"
    SOURCE_CHANGED = "source-changed"
    CLOCK = "clock"
    WAY_BACK = "way-back"
    CERTIFICATE = "certificate"
    VSPHERE = "vsphere"
    VSPHERE_VERSION = "vsphere-version"
    LICENCE = "licence"
    PRIVILEGES = "privileges"
    PLACE = "place"
    REPLICA_NAME = "replica-name"
    REPLICA = "replica"
    OPTIONS = "options"
    PORT_GROUPS = "port-groups"
    ADDRESSES = "addresses"
    DATASTORES = "datastores"
    SPACE = "space"
    APPLIANCE_DISKS = "appliance-disks"
    DISK_UUIDS = "disk-uuids"
    EXISTING_DISKS = "existing-disks"
    ARCHITECTURE = "architecture"
    FIRMWARE = "firmware"
    BOOT_LOADER = "boot-loader"
    VOLUMES = "volumes"
    VOLUME_SIZES = "volume-sizes"
    POWER = "power"
    TOOLS = "tools"
    TASKS = "tasks"
    GROUP_NAMES = "group-names"
    BOOT_KERNEL = "boot-kernel"
    BOOT_DEVICES = "boot-devices"
    BOOT_CODE = "boot-code"
    BOOT_MENU = "boot-menu"
    LABELS = "labels"
    GUEST_TOOLS = "guest-tools"
    NETWORK = "network"
    NETWORK_ADDRESSES = "network-addresses"
    NETWORK_UNREADABLE = "network-unreadable"
    NETWORK_CARD_MISSING = "network-card-missing"
    NETWORK_MEMBER_MISSING = "network-member-missing"
    NETWORK_CARD_UNCONFIGURED = "network-card-unconfigured"
    NETWORK_MAC_UNKNOWN = "network-mac-unknown"
    NETWORK_HARDWARE = "network-hardware"
    NETWORK_BOND_MODE = "network-bond-mode"
    NETWORK_VLAN = "network-vlan"
    NETWORK_BRIDGE = "network-bridge"
    NETWORK_UNREAD = "network-unread"


class Verdict(StrEnum):
    """How it stands: an error keeps the job from being carried out, a warning may surprise later."""

    ERROR = "error"
    WARNING = "warning"
    PASSED = "passed"


@dataclass(frozen=True)
class Finding:
    """One result of a check: a sentence, and what to do.

    ``fix`` says what ``--fix`` does about it, "" where only people can set it right.
    """

    check: Check
    verdict: Verdict
    message: str
    hint: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Health:
    """Whether a replica would start, as its tree was at Unix time ``at``. Errors come first."""

    at: float
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return self.findings[0].verdict if self.findings else Verdict.PASSED


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings with the errors first, otherwise in their order."""
    order = tuple(Verdict)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.verdict)))


@dataclass(frozen=True)
class Validation:
    """What a job's validation at Unix time ``at`` found, errors first.

    ``fixed`` are sentences about what was repaired before. Checks that need what could not be reached are
    not among the findings.
    """

    job: str
    at: float
    findings: tuple[Finding, ...]
    fixed: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps the job from being carried out."""
        return tuple(f for f in self.findings if f.verdict is Verdict.ERROR)


REPAIRABLE = (Check.CERTIFICATE, Check.TOOLS)
"""What dtesx can set right; the rest only people can."""


@dataclass(frozen=True)
class Repairs:
    """What of a job's findings dtesx is to repair before it validates again.

    ``all``: whatever it can, the VMware server's certificate only with its ``thumbprint``, which a person
    has compared.
    """

    checks: tuple[Check, ...] = ()
    all: bool = False
    thumbprint: str = ""

    def __post_init__(self) -> None:
        for check in self.checks:
            if check not in REPAIRABLE:
                names = ", ".join(REPAIRABLE)
                raise ValueError(f"{check.value} cannot be repaired by dtesx; it can repair: {names}")
        if Check.CERTIFICATE in self.checks and not self.thumbprint:
            raise ValueError("certificate is repaired only with the thumbprint of the one to trust")

    def wants(self, check: Check) -> bool:
        """Whether it was asked for."""
        return self.all or check in self.checks
