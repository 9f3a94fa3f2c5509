"""The demo's lab: brought up and taken down like any other, and what one needs of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from dtesx.base.errors import Conflict, NotFound
from dtesx.cli import contexts
from dtesx.cli.demo.runner import Say
from dtesx.cli.demo.ssh import Login
from dtesx.lab import daemon
from dtesx.lab.status import SiteStatus, VcenterAccess

SERVER = "alpha"


@dataclass(frozen=True)
class Places:
    """Where a lab keeps its machines, and the cache it is built from."""

    lab: Path
    cache: Path

    @property
    def demo(self) -> Path:
        """The demo's own files: configuration, job file, known hosts."""
        return self.lab / "demo"


@dataclass(frozen=True)
class DemoLab:
    """A lab that is up."""

    places: Places
    status: SiteStatus

    def context(self) -> contexts.Context:
        """The appliance: URL, certificate and token, as an administrator is given them."""
        return contexts.Context(
            url=self.status.appliance_url,
            certificate=Path(self.status.appliance_certificate).read_text(encoding="ascii"),
            token=Path(self.status.admin_token_file).read_text(encoding="ascii").strip(),
        )

    @property
    def vcenter(self) -> VcenterAccess:
        """The vCenter."""
        return self.status.vcenter

    @property
    def server_address(self) -> str:
        """The server's address, as the appliance reaches it."""
        return self.status.source_address

    def server_token(self) -> str:
        """The one-time token of the server's source service."""
        return Path(self.status.source_token_file).read_text(encoding="ascii").strip()

    def login(self) -> Login:
        """SSH to whoever has the server's address: the server, later its replica."""
        address, _, port = self.status.ssh_forward.rpartition(":")
        return Login(
            name=SERVER,
            address=address,
            port=int(port),
            key=Path(self.status.ssh_key),
            known_hosts=self.places.demo / "known_hosts",
        )

    def lose_server(self) -> None:
        """Crash the server: every process in it dies, its link goes down."""
        daemon.lose(self.places.lab, "source")


def bring_up(places: Places, say: Say) -> DemoLab:
    """Bring a fresh lab up; Conflict when one is up already, which may hold somebody's work."""
    if running(places.lab):
        raise Conflict(
            f"a lab is up already in {places.lab}",
            hint="the demo needs a fresh one; end it with: dtesx lab down",
        )
    status = daemon.up(places.lab, places.cache, lambda line: say(line, -1.0))
    try:
        shutil.rmtree(places.demo, ignore_errors=True)
        places.demo.mkdir(mode=0o700)
        return DemoLab(places, status)
    except BaseException:
        take_down(places)
        raise


def take_down(places: Places) -> str:
    """End the lab; fine when there is none."""
    daemon.down(places.lab)
    return "nothing of it is left but logs" if places.lab.exists() else ""


def running(directory: Path) -> bool:
    """Whether a lab is up there."""
    try:
        daemon.status(directory)
    except NotFound:
        return False
    return True
