"""Checks of the source: whether it can be worked with, and is what the replica was made from."""

from __future__ import annotations

from collections.abc import Iterator

from dtesx.model.inventory import BootLoader
from dtesx.model.validation import Check, Finding
from dtesx.validation.facts import SourceFacts
from dtesx.validation.judging import Judge, error, known, warning

CLOCK_SECONDS = 5.0
"""How far apart the clocks may be. Recovery points bear the source's time, and people read it elsewhere."""

_OTHER_LOADERS = (BootLoader.SYSTEMD_BOOT, BootLoader.EXTLINUX, BootLoader.LILO)


def _version(facts: SourceFacts) -> Iterator[Finding]:
    if facts.version != facts.own_version:
        yield error(
            Check.SOURCE_VERSION,
            f"the source runs dtesx {facts.version}, this appliance {facts.own_version}",
            "install the same version on both",
        )


def _read(facts: SourceFacts) -> Iterator[Finding]:
    for sentence in facts.inventory.unread:
        yield warning(
            Check.SOURCE_READ,
            f"the source could not look at everything: {sentence}",
            "install what is missing there, or check that the source service runs as root",
        )


def _clock(facts: SourceFacts) -> Iterator[Finding]:
    if abs(facts.ahead) > CLOCK_SECONDS:
        order = "ahead of" if facts.ahead > 0 else "behind"
        yield warning(
            Check.CLOCK,
            f"the source's clock is {abs(facts.ahead):.0f} s {order} the appliance's; "
            "recovery points bear its time",
            "have both follow a time server (timedatectl set-ntp true)",
        )


def _way_back(facts: SourceFacts) -> Iterator[Finding]:
    if facts.unreachable:
        yield error(
            Check.WAY_BACK,
            f"the source cannot connect to the appliance at {facts.address}: {facts.unreachable}",
            "let connections from the source to the appliance's data ports (1500/tcp and up) through the "
            "firewalls, or name another address of the appliance in the job's `route`",
        )


def _loader(facts: SourceFacts) -> Iterator[Finding]:
    loader = facts.inventory.boot.loader
    if loader in _OTHER_LOADERS:
        yield warning(
            Check.BOOT_LOADER,
            f"the source starts by {loader.value}; its replica will start by GRUB, with a menu of its own",
            "start the replica once in a network of its own before it is needed",
        )


def _changed(facts: SourceFacts) -> Iterator[Finding]:
    if facts.planned_from is None:
        return
    known = {(fs.uuid, fs.subvolume) for fs in facts.planned_from.file_systems}
    present = {(fs.uuid, fs.subvolume) for fs in facts.inventory.file_systems}
    for fs in facts.inventory.file_systems:
        if (fs.uuid, fs.subvolume) not in known:
            yield warning(
                Check.SOURCE_CHANGED,
                f"the source has a file system at {fs.mount_point} that the replica was not made with",
                "it is not protected; delete the job and create it again to have it on the replica",
            )
    for fs in facts.planned_from.file_systems:
        if (fs.uuid, fs.subvolume) not in present:
            yield warning(
                Check.SOURCE_CHANGED,
                f"the file system that was at {fs.mount_point} is not mounted on the source any more",
                "mount it there, or delete the job and create it again without it",
            )


JUDGES = (
    Judge(Check.SOURCE, "the source answers", known),
    Judge(Check.SOURCE_VERSION, "source and appliance run the same version", _version),
    Judge(Check.SOURCE_READ, "the source could look at all that it is made of", _read),
    Judge(Check.CLOCK, "the clocks of source and appliance agree", _clock),
    Judge(Check.WAY_BACK, "the source can connect to the appliance", _way_back),
    Judge(Check.BOOT_LOADER, "the replica can start as the source does", _loader),
    Judge(Check.SOURCE_CHANGED, "the source has the file systems that the replica has", _changed),
)
